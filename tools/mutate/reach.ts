// Which tests reach a source, and over how many imports: what a test cannot load cannot fail it.

import { readArrows } from "../tree/import_graph.ts";

/** Modules and what imports them when it runs, types left out. */
export class ImportGraph {
  readonly #importers = new Map<string, string[]>();
  readonly #imports = new Map<string, string[]>();

  /** The graph of some modules, given by paths from the root. */
  static async of(root: URL, paths: readonly string[]): Promise<ImportGraph> {
    const graph = new ImportGraph();
    for (const { from, to, isType } of await readArrows(root, paths)) {
      if (isType) continue;
      append(graph.#importers, to, from);
      append(graph.#imports, from, to);
    }
    return graph;
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

function append(lists: Map<string, string[]>, name: string, item: string): void {
  const list = lists.get(name);
  if (list) list.push(item);
  else lists.set(name, [item]);
}
