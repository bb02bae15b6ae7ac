// Tries mutants: runs the tests that reach a changed source until one fails.
//
// Invariant: a test kills only if it is green without the change, which is looked at once per test, when it first matters.

import { type Outcome, runFile } from "../test/run_file.ts";
import type { TestFile } from "../test/test_files.ts";
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
  /** How many tests were run of how many that reach the source. */
  readonly run: number;
  readonly reaching: number;
  readonly seconds: number;
}

/** What is known of one test. */
interface Experience {
  /** How long it takes; an estimate until it has run. */
  seconds: number;
  /** Whether it is green without a change; null where nobody looked. */
  isGreen: boolean | null;
  kills: number;
  /** Kills by source. */
  readonly killsOf: Map<string, number>;
}

/** Seconds that a test is taken to need until it has run, and the least that it is given. */
const FIRST_ESTIMATE = 3, LEAST_LIMIT = 15;
/** How much longer than without a change a test may take before it counts as hanging. */
const PATIENCE = 6;
/** No adapter is found with it: tests on a device take most of the time, and other sources do not need them. */
const NO_DEVICE = { DENO_WEBGPU_BACKEND: "none" };
const DEVICE_SOURCES = "src/backends/webgpu/";

/** Tries mutants, and learns which tests are quick to kill. */
export class Trials {
  readonly #tests: readonly TestFile[];
  readonly #graph: ImportGraph;
  readonly #pristine: TreeCopy;
  readonly #limitSeconds: number;
  readonly #signal: AbortSignal;
  readonly #experience = new Map<string, Experience>();
  #looks: Promise<unknown> = Promise.resolve();

  constructor(
    tests: readonly TestFile[],
    graph: ImportGraph,
    pristine: TreeCopy,
    limitSeconds: number,
    signal: AbortSignal,
  ) {
    this.#tests = tests;
    this.#graph = graph;
    this.#pristine = pristine;
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
    const start = performance.now();
    const passed = () => (performance.now() - start) / 1000;
    const tests = this.#inOrder(mutant.path);
    let run = 0;
    for (const test of tests) {
      const left = this.#limitSeconds - passed();
      const known = this.#of(test, mutant.path);
      if (this.#signal.aborted) break;
      // What would not end in time says nothing.
      if (known.isGreen === false || known.seconds > left) continue;
      const patience = known.isGreen ? PATIENCE * known.seconds : this.#limitSeconds;
      const outcome = await this.#run(test, mutant.path, copy, Math.max(LEAST_LIMIT, patience));
      if (this.#signal.aborted) break;
      run++;
      if (outcome.failure === null) {
        known.isGreen = true;
        known.seconds = outcome.seconds;
        continue;
      }
      if (!await this.#isGreen(test, mutant.path)) continue;
      known.kills++;
      known.killsOf.set(mutant.path, (known.killsOf.get(mutant.path) ?? 0) + 1);
      const { failure } = outcome;
      return { mutant, killer: test.name, failure, run, reaching: tests.length, seconds: passed() };
    }
    return { mutant, killer: null, failure: null, run, reaching: tests.length, seconds: passed() };
  }

  /** The tests that reach a source: near ones, quick ones and those that have killed come first. */
  #inOrder(path: string): TestFile[] {
    const distances = this.#graph.distancesTo(path);
    const rank = (test: TestFile) => {
      const { seconds, kills, killsOf } = this.#of(test, path);
      const chance = (1 + kills + 4 * (killsOf.get(path) ?? 0)) / distances.get(test.name)! ** 2;
      return chance / (0.3 + seconds);
    };
    return this.#tests.filter(({ name }) => distances.has(name))
      .map((test) => ({ test, rank: rank(test) }))
      .sort((a, b) => b.rank - a.rank)
      .map(({ test }) => test);
  }

  /** Whether a test is green without a change; it runs if nobody knows. */
  async #isGreen(test: TestFile, path: string): Promise<boolean> {
    const known = this.#of(test, path);
    // One after the other: the copy without changes is one, and two runs of a test may be in each other's way.
    await (this.#looks = this.#looks.then(async () => {
      if (known.isGreen !== null) return;
      const { failure, seconds } = await this.#run(test, path, this.#pristine, this.#limitSeconds);
      known.isGreen = failure === null;
      known.seconds = seconds;
      if (failure !== null) console.error(`${test.name} is red without a change: ${failure}; it is left out`);
    }));
    return known.isGreen === true;
  }

  #run(test: TestFile, path: string, { root }: TreeCopy, limitSeconds: number): Promise<Outcome> {
    return runFile(test, {
      root,
      flags: ["--allow-all", "--fail-fast", "--frozen", "--lock=locks/development.lock"],
      env: path.startsWith(DEVICE_SOURCES) ? {} : NO_DEVICE,
      limitSeconds,
      signal: this.#signal,
    });
  }

  /** What is known of a test, which takes longer where it uses a device. */
  #of(test: TestFile, path: string): Experience {
    const name = `${test.name} ${path.startsWith(DEVICE_SOURCES)}`;
    let known = this.#experience.get(name);
    if (known === undefined) {
      known = { seconds: FIRST_ESTIMATE, isGreen: null, kills: 0, killsOf: new Map() };
      this.#experience.set(name, known);
    }
    return known;
  }
}
