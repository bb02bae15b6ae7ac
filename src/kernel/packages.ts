/**
 * The entry points of this package, so that notebooks find them by name wherever they are.
 *
 * Invariant: the list is what `deno.json` exports; a test compares. A folder that says itself what the name means is left
 * alone.
 */

/** The name of the package. */
const NAME = "@attune/attention";
const ROOT = new URL("../../", import.meta.url);

/** Subpaths of the package → the modules. */
export const ENTRY_POINTS: Readonly<Record<string, string>> = {
  "": "mod.ts",
  "/jupyter": "src/jupyter/mod.ts",
  "/kernel": "src/kernel/main.ts",
  "/cluster": "src/cluster/mod.ts",
  "/durable": "src/durable/mod.ts",
  "/learning": "src/learning/mod.ts",
  "/npz": "src/store/npz.ts",
  "/store": "src/store/mod.ts",
  "/widgets": "src/jupyter/widgets/mod.ts",
};

/** Specifiers → addresses, for notebooks in a folder. */
export async function packageAddresses(folder: string): Promise<Record<string, string>> {
  if (await namesItself(folder)) return {};
  return Object.fromEntries(
    Object.entries(ENTRY_POINTS).map(([path, module]) => [`${NAME}${path}`, new URL(module, ROOT).href]),
  );
}

/** Whether Deno finds a configuration for a folder, in it or above. */
export async function hasConfiguration(folder: string): Promise<boolean> {
  const parts = folder.split(/[/\\]/);
  for (let depth = parts.length; depth > 0; depth--) {
    const here = parts.slice(0, depth).join("/");
    for (const name of ["deno.json", "deno.jsonc"]) if (await read(`${here}/${name}`) !== "") return true;
  }
  return false;
}

/** Whether the nearest configurations of Deno or Node have something to say about the name. */
async function namesItself(folder: string): Promise<boolean> {
  const mention = /"@attune\/attention(\/[^"]*)?"/;
  const parts = folder.split(/[/\\]/);
  for (let depth = parts.length; depth > 0; depth--) {
    const here = parts.slice(0, depth).join("/");
    const texts = await Promise.all(
      ["deno.json", "deno.jsonc", "package.json"].map((name) => read(`${here}/${name}`)),
    );
    const maps = texts.map((text) => /"importMap"\s*:\s*"([^"]+)"/.exec(text)?.[1]).filter((map) =>
      map !== undefined
    );
    for (const map of maps) texts.push(await read(`${here}/${map}`));
    if (texts.some((text) => mention.test(text))) return true;
  }
  return false;
}

async function read(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return "";
  }
}
