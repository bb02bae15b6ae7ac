/**
 * Where Jupyter looks for what belongs to it (https://docs.jupyter.org/en/latest/use/jupyter-directories.html).
 */

/** The circumstances that the folders depend on. */
export interface Surroundings {
  readonly os: typeof Deno.build.os;
  readonly env: (name: string) => string | undefined;
}

/** Those of this program. */
export const HERE: Surroundings = { os: Deno.build.os, env: (name) => Deno.env.get(name) };

/** The folder of the user. Throws when there is no home. */
export function userDataFolder({ os, env }: Surroundings = HERE): string {
  const own = env("JUPYTER_DATA_DIR");
  if (own) return own;
  const home = env("HOME") ?? env("USERPROFILE");
  if (os === "windows") {
    const data = env("APPDATA") ?? (home && `${home}\\AppData\\Roaming`);
    if (data) return `${data}\\jupyter`;
  }
  if (!home) {
    throw new Error("userDataFolder: neither JUPYTER_DATA_DIR nor HOME is set, expected one of them");
  }
  if (os === "darwin") return `${home}/Library/Jupyter`;
  return `${env("XDG_DATA_HOME") || `${home}/.local/share`}/jupyter`;
}

/** All folders, those that go first in front. */
export function dataFolders(surroundings: Surroundings = HERE): string[] {
  const { os, env } = surroundings;
  const folders = (env("JUPYTER_PATH") ?? "").split(os === "windows" ? ";" : ":");
  try {
    folders.push(userDataFolder(surroundings));
  } catch {
    // A user without a home has no folder of their own.
  }
  for (const name of ["VIRTUAL_ENV", "CONDA_PREFIX"]) {
    const prefix = env(name);
    if (prefix) folders.push(`${prefix}/share/jupyter`);
  }
  if (os !== "windows") folders.push("/usr/local/share/jupyter", "/usr/share/jupyter");
  return folders.filter((folder) => folder !== "");
}
