// Which tests reach a source, and over how many imports: what a test cannot load cannot fail it.

interface Dependency {
  readonly code?: { readonly specifier?: string };
}

/** Modules and what imports them when it runs, types left out. */
export class ImportGraph {
  readonly #importers = new Map<string, string[]>();
  readonly #imports = new Map<string, string[]>();

  private constructor(arrows: readonly (readonly [from: string, to: string])[]) {
    for (const [from, to] of arrows) {
      this.#importers.set(to, [...this.#importers.get(to) ?? [], from]);
      this.#imports.set(from, [...this.#imports.get(from) ?? [], to]);
    }
  }

  /** The graph of some modules, given by paths from the root. */
  static async of(root: URL, paths: readonly string[]): Promise<ImportGraph> {
    const entry = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      const imports = paths.map((path) => `import ${JSON.stringify(new URL(path, root).href)};\n`);
      await Deno.writeTextFile(entry, imports.join(""));
      const config = new URL("deno.json", root).pathname;
      const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
        args: ["info", "--json", "--config", config, entry],
        cwd: root,
        env: { NO_COLOR: "1" },
      }).output();
      if (!success) throw new Error(new TextDecoder().decode(stderr));
      const graph: { modules: { specifier: string; dependencies?: Dependency[] }[] } = JSON.parse(
        new TextDecoder().decode(stdout),
      );
      const shorten = (specifier: string) => specifier.replace(root.href, "");
      return new ImportGraph(
        graph.modules.flatMap(({ specifier, dependencies = [] }) =>
          dependencies.flatMap(({ code }) =>
            code?.specifier === undefined ? [] : [[shorten(specifier), shorten(code.specifier)] as const]
          )
        ),
      );
    } finally {
      await Deno.remove(entry);
    }
  }

  /** Every module that reaches `path`, with the length of the shortest chain of imports. */
  distancesTo(path: string): Map<string, number> {
    return distancesOver(this.#importers, path);
  }

  /** Every module that `path` loads, itself included. */
  reachedFrom(path: string): string[] {
    return [...distancesOver(this.#imports, path).keys()];
  }
}

/** Steps from `start` along the arrows of a graph, to whatever can be reached. */
function distancesOver(arrows: ReadonlyMap<string, readonly string[]>, start: string): Map<string, number> {
  const distances = new Map([[start, 0]]);
  for (const [near, distance] of distances) {
    for (const next of arrows.get(near) ?? []) {
      if (!distances.has(next)) distances.set(next, distance + 1);
    }
  }
  return distances;
}
