// The API reference: what `deno doc --html` writes of the entry points, and its symbols for the search.

import { referencePage } from "./reference_page.ts";

const ROOT = new URL("../../../", import.meta.url);

/** A public name, for the search. */
export interface ApiSymbol {
  readonly name: string;
  readonly kind: string;
  readonly text: string;
  /** Relative to the reference's folder. */
  readonly path: string;
}

/** The reference. */
export interface Reference {
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly symbols: readonly ApiSymbol[];
}

interface SearchNode {
  readonly name: string;
  readonly kind: readonly { readonly title: string }[];
  readonly doc?: string;
  readonly url: string;
}

/** Writes the reference of every entry point of `deno.json`. */
export async function buildReference(): Promise<Reference> {
  const { exports }: { exports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", ROOT)),
  );
  const folder = await Deno.makeTempDir({ prefix: "attune-reference-" });
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["doc", "--html", "--quiet", "--name=Attune", `--output=${folder}`, ...Object.values(exports)],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
    }).output();
    if (!success) throw new Error(`site: deno doc --html failed\n${new TextDecoder().decode(stderr)}`);
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    await collect(folder, "", files);
    const encoder = new TextEncoder(), decoder = new TextDecoder();
    for (const [path, bytes] of files) {
      if (!/\.(html|js)$/.test(path)) continue;
      files.set(path, encoder.encode(referencePage(decoder.decode(bytes), path, Object.keys(exports))));
    }
    const sheet = await Deno.readTextFile(new URL("reference.css", import.meta.url));
    files.set("page.css", encoder.encode(decoder.decode(files.get("page.css")) + sheet));
    const symbols = symbolsOf(new TextDecoder().decode(files.get("search_index.js")));
    // Members of members are in its index and have no page.
    return { files, symbols: symbols.filter(({ path }) => files.has(path)) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Reads all files below a folder. */
async function collect(
  folder: string,
  path: string,
  files: Map<string, Uint8Array<ArrayBuffer>>,
): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(`${folder}/${path}`));
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (isDirectory) await collect(folder, `${path}${name}/`, files);
    else files.set(path + name.replaceAll("%2F", "-"), await Deno.readFile(`${folder}/${path}${name}`));
  }
}

function symbolsOf(script: string): ApiSymbol[] {
  const json = /DENO_DOC_SEARCH_INDEX = (\{[^]*\})\s*;?\s*\}\)\(\)/.exec(script)?.[1];
  if (json === undefined) {
    throw new Error("site: the search index of deno doc is not what it was, expected an object");
  }
  const { nodes }: { nodes: SearchNode[] } = JSON.parse(json);
  return nodes.map(({ name, kind, doc = "", url }) => ({
    name,
    kind: kind[0]?.title ?? "",
    text: doc.slice(0, 200),
    path: url.replace(/^(\.\/)+/, ""),
  }));
}
