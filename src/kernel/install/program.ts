/**
 * The Deno that a kernelspec starts.
 */

/** Where npx keeps what it runs, until the cache is cleaned. */
const CACHE = /[/\\]_npx[/\\]/;

/** The running Deno; a copy of it in a folder where it stays if it lies in a cache. */
export async function lastingProgram(folder: string, running: string = Deno.execPath()): Promise<string> {
  if (!CACHE.test(running)) return running;
  const copy = `${folder}/deno-${Deno.version.deno}${Deno.build.os === "windows" ? ".exe" : ""}`;
  try {
    if ((await Deno.lstat(copy)).isFile) return copy;
  } catch {
    // It is not there yet.
  }
  await Deno.mkdir(folder, { recursive: true });
  const fresh = `${copy}.${crypto.randomUUID()}`;
  await Deno.copyFile(running, fresh);
  await Deno.chmod(fresh, 0o755).catch(() => {});
  await Deno.rename(fresh, copy);
  return copy;
}
