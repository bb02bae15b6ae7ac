// The API reference: what `deno doc --html` writes of the entry points, and its symbols for the search.

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
    else {
      const bytes = await Deno.readFile(`${folder}/${path}${name}`);
      files.set(
        path + name.replaceAll("%2F", "-"),
        /\.(html|js)$/.test(name) ? portable(bytes) : bytes,
      );
    }
  }
}

/**
 * A page without what only its maker can use: links to sources are addresses of the machine that it was written on. Names of
 * properties such as `image/png` have a hyphen in names of files, since hosts take %2F for a slash, and links to folders name
 * their page, so that they also work from a file.
 */
function portable(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const text = new TextDecoder().decode(bytes)
    .replace(/<a\s+class="sourceButton"\s+href="file:[^"]*">[^]*?<\/a>/g, "")
    .replace(/%2F([\w.-]*\.html)/g, "-$1")
    .replace(/ href="(\.{1,2}(?:&#x2F;\.\.)*&#x2F;)"/g, ' href="$1index.html"');
  return new TextEncoder().encode(text);
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
