// Carries out a plan: starts the subjects, asks them one after the other, and never lets one hold up the
// rest.

import type { FmaLimit } from "./limit/fma_chain.ts";
import type { Step } from "./plan.ts";
import type {
  LimitMeasurement,
  Measurement,
  MemoryMeasurement,
  Result,
  ScaleMeasurement,
  SubjectReport,
} from "./results.ts";
import { backendsHere, type Candidate, candidates, versionOf } from "./roster.ts";
import type { TimeLimits } from "./stopwatch.ts";
import { SubjectProcess } from "./subjects/client.ts";
import { reasonOf } from "./subjects/messages.ts";
import { subjectName } from "./subjects/subject.ts";
import { describeShape, describeWorkload, leastFlops, type Shape } from "./workload.ts";

/** How long to look, and what is too long. */
export interface RunLimits {
  readonly time: TimeLimits;
  /** A step whose single run is foretold to take longer is skipped. */
  readonly longestRunMs: number;
  readonly timeoutMs: number;
}

interface Running {
  readonly candidate: Candidate;
  readonly name: string;
  process: SubjectProcess;
  /** Milliseconds a pair of query and key, at the largest shape rebuilt so far. */
  msPerPair: number | null;
  /** Why it is asked no more; null while it is. */
  dead: string | null;
}

const LOAD_TIMEOUT_MS = 120_000, LIMIT_MS = 300;

export class Runner {
  readonly #limits: RunLimits;
  readonly #say: (line: string) => void;
  readonly #running: Running[] = [];
  readonly subjects: SubjectReport[] = [];

  constructor(limits: RunLimits, say: (line: string) => void) {
    this.#limits = limits;
    this.#say = say;
  }

  /** Starts every candidate whose name contains one of `words`, or all. */
  async start(threads: number, words: readonly string[]): Promise<void> {
    for (const candidate of candidates(threads, await backendsHere())) {
      const { key, library } = candidate;
      const name = subjectName(key);
      if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
      let missing = candidate.missing;
      if (missing === null) {
        try {
          const process = await SubjectProcess.start(key, LOAD_TIMEOUT_MS);
          this.#running.push({ candidate, name, process, msPerPair: null, dead: null });
        } catch (thrown) {
          missing = reasonOf(thrown);
        }
      }
      const version = library === null ? null : await versionOf(library);
      this.subjects.push({ name, kind: key.kind, threads: key.threads, version, missing });
      this.#say(
        `${name}, ${threadsOf(key.threads)}: ${missing === null ? "ready" : `not there: ${missing}`}`,
      );
    }
  }

  async measure(steps: readonly Step[]): Promise<Measurement[]> {
    const measurements: Measurement[] = [];
    for (const { shape, workload, ofPeers } of steps) {
      for (const subject of this.#running) {
        const { name, candidate: { key } } = subject;
        if (key.kind === "peer" && !ofPeers) continue;
        const result = await this.#measureOne(subject, { shape, workload, ofPeers });
        measurements.push({ subject: name, threads: key.threads, shape, workload, ...result });
        const shown = result.status === "measured"
          ? `${result.timing.median.toPrecision(3)} ms`
          : `${result.status}: ${result.reason}`;
        this.#say(
          `${describeShape(shape)} ${describeWorkload(workload)}, ${name}, ${
            threadsOf(key.threads)
          }: ${shown}`,
        );
      }
    }
    return measurements;
  }

  async #measureOne(
    subject: Running,
    { shape, workload }: Step,
  ): Promise<Result<{ timing: FmaLimit["timing"]; gflops: number | null; error: number }>> {
    if (subject.dead !== null) return { status: "failed", reason: subject.dead };
    const { kind } = subject.candidate.key;
    const pairs = shape.queryCount * shape.keyCount;
    // An engine is made before anything is asked of it; a peer computes what it is asked alone.
    const isWhole = kind === "attune" || workload.kind === "rebuild" ||
      (workload.kind === "answer" && workload.rows === "all");
    const foretold = isWhole && subject.msPerPair !== null ? subject.msPerPair * pairs : 0;
    if (foretold > this.#limits.longestRunMs) {
      return { status: "skipped", reason: `about ${(foretold / 1000).toFixed(0)} s a computation` };
    }
    try {
      const question = { shape, workload, limits: this.#limits.time };
      const { timing, error } = await subject.process.ask("measure", question, this.#limits.timeoutMs);
      if (workload.kind === "rebuild") subject.msPerPair = timing.median / pairs;
      const flops = leastFlops(workload, shape);
      return {
        status: "measured",
        timing,
        error,
        gflops: flops === null ? null : flops / timing.median / 1e6,
      };
    } catch (thrown) {
      if (!subject.process.isAlive) await this.#restart(subject);
      return { status: "failed", reason: reasonOf(thrown) };
    }
  }

  async #restart(subject: Running): Promise<void> {
    try {
      subject.process = await SubjectProcess.start(subject.candidate.key, LOAD_TIMEOUT_MS);
    } catch (thrown) {
      subject.dead = `it did not start again: ${reasonOf(thrown)}`;
    }
  }

  /** Resident bytes of each subject on one thread, in processes that have done nothing else. */
  async measureMemory(shapes: readonly Shape[]): Promise<MemoryMeasurement[]> {
    const results: MemoryMeasurement[] = [];
    for (const shape of shapes) {
      const { queryCount, keyCount, headDim, valueDim } = shape;
      const dataBytes = 4 * (queryCount * headDim + keyCount * (headDim + valueDim));
      for (const { name, candidate: { key } } of this.#oneThreaded()) {
        const result = await attempt(async () => {
          const process = await SubjectProcess.start(key, LOAD_TIMEOUT_MS);
          try {
            return await process.ask("memory", { shape }, this.#limits.timeoutMs);
          } finally {
            process.end();
          }
        });
        results.push({ subject: name, shape, dataBytes, ...result });
      }
      this.#say(`${describeShape(shape)} memory: done`);
    }
    return results;
  }

  /** The engines at a large size, each in a process that has done nothing else. */
  async measureScale(shape: Shape, timeoutMs: number): Promise<ScaleMeasurement[]> {
    const results: ScaleMeasurement[] = [];
    for (const { name, candidate: { key } } of this.#oneThreaded()) {
      if (key.kind !== "attune") continue;
      const result = await attempt(async () => {
        const process = await SubjectProcess.start(key, LOAD_TIMEOUT_MS);
        try {
          return await process.ask("scale", { shape, limits: this.#limits.time }, timeoutMs);
        } finally {
          process.end();
        }
      });
      results.push({ subject: name, shape, ...result });
      this.#say(`${describeShape(shape)} scale, ${name}: ${result.status}`);
    }
    return results;
  }

  #oneThreaded(): Running[] {
    return this.#running.filter(({ candidate: { key }, dead }) => key.threads === 1 && dead === null);
  }

  end(): void {
    for (const { process } of this.#running) process.end();
  }
}

/** The machine's limit with one thread, and with all at once. */
export async function measureLimits(threads: number): Promise<LimitMeasurement[]> {
  const processes = await Promise.all(
    Array.from({ length: threads }, () => SubjectProcess.start({ kind: "limit" }, LOAD_TIMEOUT_MS)),
  );
  try {
    const ask = (process: SubjectProcess) =>
      process.ask("limit", { limits: { budgetMs: LIMIT_MS } }, LOAD_TIMEOUT_MS);
    const one = await ask(processes[0]);
    const limits = [{ threads: 1, form: one.form, gflops: one.gflops }];
    if (threads === 1) return limits;
    const all = await Promise.all(processes.map(ask));
    const gflops = all.reduce((sum, limit) => sum + limit.gflops, 0);
    return [...limits, { threads, form: one.form, gflops }];
  } finally {
    for (const process of processes) process.end();
  }
}

/** The best of each, since noise can only lower a limit. */
export function bestLimits(rounds: readonly (readonly LimitMeasurement[])[]): LimitMeasurement[] {
  return rounds[0].map((first, at) =>
    rounds.map((round) => round[at]).reduce((best, one) => one.gflops > best.gflops ? one : best, first)
  );
}

/** The result, or the reason why there is none. */
export async function attempt<Value>(work: () => Promise<Value>): Promise<Result<Value>> {
  try {
    return { status: "measured", ...await work() };
  } catch (thrown) {
    return { status: "failed", reason: reasonOf(thrown) };
  }
}

function threadsOf(count: number): string {
  return count === 1 ? "1 thread" : `${count} threads`;
}
