// What tests do while nothing is changed: how long each takes, whether it is green, and which lines it runs. A test that
// does not run a line cannot notice a change of it.

import { fileURLToPath } from "node:url";
import { countsIn, runFile } from "../test/run_file.ts";
import type { TestFile } from "../test/test_files.ts";
import type { ImportGraph } from "./reach.ts";
import type { TreeCopy } from "./tree_copy.ts";

/** Flags of `deno test` for any run. */
export const TEST_FLAGS: readonly string[] = [
  "--allow-all",
  "--fail-fast",
  "--frozen",
  "--lock=locks/development.lock",
];
/** No adapter is found with it: tests on a device take most of the time, and few sources need them. */
const NO_DEVICE = { DENO_WEBGPU_BACKEND: "none" };

/** What one test does. */
export interface Baseline {
  readonly test: TestFile;
  readonly seconds: number;
  /** Whether it passes; a red one can tell nothing. */
  readonly isGreen: boolean;
  /** The lines that it runs, by source. */
  readonly lines: ReadonlyMap<string, ReadonlySet<number>>;
}

/** The environment of a test, with the graphics device or without. */
export function environment(device: boolean): Record<string, string> {
  return device ? {} : NO_DEVICE;
}

/** Baselines as a file keeps them, by what a test loads. */
type Kept = Record<string, { seconds: number; isGreen: boolean; lines: Record<string, number[]> }>;

/** Measures tests, and keeps what it measured for the next run. */
export class Baselines {
  readonly #copy: TreeCopy;
  readonly #graph: ImportGraph;
  readonly #limitSeconds: number;
  readonly #signal: AbortSignal;
  readonly #file: URL;
  readonly #kept: Kept;

  private constructor(
    copy: TreeCopy,
    graph: ImportGraph,
    file: URL,
    kept: Kept,
    limitSeconds: number,
    signal: AbortSignal,
  ) {
    this.#copy = copy;
    this.#graph = graph;
    this.#file = file;
    this.#kept = kept;
    this.#limitSeconds = limitSeconds;
    this.#signal = signal;
  }

  /** Baselines in a copy of the tree without a change; what was measured before is in `file`, which need not be there. */
  static async open(
    copy: TreeCopy,
    graph: ImportGraph,
    file: URL,
    limitSeconds: number,
    signal: AbortSignal,
  ): Promise<Baselines> {
    const kept: Kept = await Deno.readTextFile(file).then(JSON.parse, () => ({}));
    return new Baselines(copy, graph, file, kept, limitSeconds, signal);
  }

  /** Measures tests, so many at a time. */
  async measure(tests: readonly TestFile[], device: boolean, jobs: number): Promise<Baseline[]> {
    const found: Baseline[] = [];
    const waiting = tests.values();
    await Promise.all(Array.from({ length: jobs }, async () => {
      for (const test of waiting) {
        if (this.#signal.aborted) return;
        found.push(await this.#measureOne(test, device));
      }
    }));
    return found;
  }

  async #measureOne(test: TestFile, device: boolean): Promise<Baseline> {
    const own = `${test.name} ${device} `, key = own + await this.#digestOf(test.name);
    let kept = this.#kept[key];
    if (kept === undefined) {
      const folder = await Deno.makeTempDir({ prefix: "attune-coverage-" });
      try {
        const { seconds, failure, output } = await runFile(test, {
          root: this.#copy.root,
          flags: [...TEST_FLAGS, `--coverage=${folder}`, "--coverage-raw-data-only"],
          env: environment(device),
          limitSeconds: this.#limitSeconds,
          signal: this.#signal,
        });
        const isGreen = failure === null && (countsIn(output)?.passed ?? 0) > 0;
        if (failure !== null) console.error(`${test.name} is left out: ${failure}`);
        kept = { seconds, isGreen, lines: isGreen ? await this.#readLines(folder) : {} };
        if (!this.#signal.aborted) await this.#keep(own, key, kept);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    }
    const lines = new Map(Object.entries(kept.lines).map(([path, own]) => [path, new Set(own)]));
    return { test, seconds: kept.seconds, isGreen: kept.isGreen, lines };
  }

  /** Puts a baseline in the place of those of the same test whose modules were others. */
  async #keep(own: string, key: string, baseline: Kept[string]): Promise<void> {
    for (const old of Object.keys(this.#kept)) if (old.startsWith(own)) delete this.#kept[old];
    this.#kept[key] = baseline;
    await Deno.mkdir(new URL(".", this.#file), { recursive: true });
    await Deno.writeTextFile(this.#file, JSON.stringify(this.#kept));
  }

  /** The lines that ran, by source, out of a folder of coverage. */
  async #readLines(folder: string): Promise<Record<string, number[]>> {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["coverage", "--lcov", `--include=^${this.#copy.root.href}src/`, folder],
      cwd: this.#copy.root,
      env: { NO_COLOR: "1" },
    }).output();
    return linesIn(new TextDecoder().decode(stdout), fileURLToPath(this.#copy.root));
  }

  /** A number that changes with any module that a test loads. */
  async #digestOf(path: string): Promise<string> {
    const modules = this.#graph.reachedFrom(path).sort();
    const texts = await Promise.all(modules.map((each) => {
      return Deno.readTextFile(new URL(each, this.#copy.root)).catch(() => "");
    }));
    const bytes = new TextEncoder().encode(texts.join("\0"));
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex().slice(0, 16);
  }
}

/** The lines with a count above 0 of a report in the form of lcov, by paths from `root`. */
export function linesIn(lcov: string, root: string): Record<string, number[]> {
  const found: Record<string, number[]> = {};
  let lines: number[] = [];
  for (const text of lcov.split("\n")) {
    const [, path] = /^SF:(.+)$/.exec(text) ?? [];
    if (path !== undefined) found[path.replace(root, "")] = lines = [];
    const [, line, count] = /^DA:(\d+),(\d+)/.exec(text) ?? [];
    if (line !== undefined && Number(count) > 0) lines.push(Number(line));
  }
  return found;
}
