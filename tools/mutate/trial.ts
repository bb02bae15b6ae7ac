// Tries mutants: runs the tests that run a changed line until one fails.

import { runFile } from "../test/run_file.ts";
import { type Baseline, environment, TEST_FLAGS } from "./baseline.ts";
import { applyMutation } from "./mutations.ts";
import type { ImportGraph } from "./reach.ts";
import type { Mutant } from "./sources.ts";
import type { TreeCopy } from "./tree_copy.ts";

/** What became of a mutant. */
export interface Verdict {
  readonly mutant: Mutant;
  /** The test that failed; null where none did. */
  readonly killer: string | null;
  /** How it failed. */
  readonly failure: string | null;
  /** How many tests were run, of how many that run the line. */
  readonly run: number;
  readonly reaching: number;
  readonly seconds: number;
}

/** The least seconds that a test is given, and how much longer than without a change it may take before it hangs. */
const LEAST_LIMIT = 15, PATIENCE = 6;
/** Sources that do nothing without a graphics device. */
const DEVICE_SOURCES = "src/backends/webgpu/";

/** Tries mutants, and learns which tests are quick to kill. */
export class Trials {
  readonly #tests: (device: boolean) => Promise<readonly Baseline[]>;
  readonly #graph: ImportGraph;
  readonly #limitSeconds: number;
  readonly #signal: AbortSignal;
  /** Kills by test, and by test and source. */
  readonly #kills = new Map<string, number>();

  constructor(
    tests: (device: boolean) => Promise<readonly Baseline[]>,
    graph: ImportGraph,
    limitSeconds: number,
    signal: AbortSignal,
  ) {
    this.#tests = tests;
    this.#graph = graph;
    this.#limitSeconds = limitSeconds;
    this.#signal = signal;
  }

  /** Runs tests in a copy that nobody else uses meanwhile. */
  async try(mutant: Mutant, copy: TreeCopy): Promise<Verdict> {
    const source = await Deno.readTextFile(new URL(mutant.path, copy.root));
    return await copy.withText(
      mutant.path,
      applyMutation(source, mutant),
      () => this.#runTests(mutant, copy),
    );
  }

  async #runTests(mutant: Mutant, copy: TreeCopy): Promise<Verdict> {
    const { tests, device } = await this.#testsFor(mutant);
    // The first mutant waits until its tests were measured, which is no time of its own.
    const start = performance.now();
    const passed = () => (performance.now() - start) / 1000;
    let run = 0;
    for (const { test, seconds } of tests) {
      if (this.#signal.aborted) break;
      // What would not end in time says nothing.
      if (passed() + seconds > this.#limitSeconds) continue;
      const { failure } = await runFile(test, {
        root: copy.root,
        flags: TEST_FLAGS,
        env: environment(device),
        limitSeconds: Math.max(LEAST_LIMIT, PATIENCE * seconds),
        signal: this.#signal,
      });
      run++;
      if (failure === null) continue;
      for (const name of [test.name, `${test.name} ${mutant.path}`]) {
        this.#kills.set(name, (this.#kills.get(name) ?? 0) + 1);
      }
      return { mutant, killer: test.name, failure, run, reaching: tests.length, seconds: passed() };
    }
    return { mutant, killer: null, failure: null, run, reaching: tests.length, seconds: passed() };
  }

  /** The tests that run a line, with the graphics device where none does without. */
  async #testsFor(mutant: Mutant): Promise<{ tests: Baseline[]; device: boolean }> {
    if (!mutant.path.startsWith(DEVICE_SOURCES)) {
      const tests = this.#inOrder(mutant, await this.#tests(false));
      if (tests.length > 0) return { tests, device: false };
    }
    return { tests: this.#inOrder(mutant, await this.#tests(true)), device: true };
  }

  /** Those that run a line: near ones, quick ones and those that have killed come first. */
  #inOrder({ path, line }: Mutant, all: readonly Baseline[]): Baseline[] {
    const distances = this.#graph.distancesTo(path);
    const tests = all.filter(({ test, isGreen }) => isGreen && distances.has(test.name));
    // Coverage sees no threads: a source of which no line seems to run is left to all that load it.
    const isSeen = tests.some(({ lines }) => lines.has(path));
    const rank = ({ test: { name }, seconds }: Baseline) => {
      const kills = (this.#kills.get(name) ?? 0) + 4 * (this.#kills.get(`${name} ${path}`) ?? 0);
      return (1 + kills) / distances.get(name)! ** 2 / (0.3 + seconds);
    };
    return tests.filter(({ lines }) => !isSeen || lines.get(path)?.has(line))
      .map((test) => ({ test, rank: rank(test) }))
      .sort((a, b) => b.rank - a.rank)
      .map(({ test }) => test);
  }
}
