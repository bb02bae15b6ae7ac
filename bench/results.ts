// The results of a benchmark run: bench/results.json.

import type { Machine } from "./machine.ts";
import type { Timing } from "./statistics.ts";
import type { ScaleOutcome } from "./subjects/scale.ts";
import type { MemoryUse } from "./subjects/subject.ts";
import { describeWorkload, type Shape, type Workload } from "./workload.ts";

/** A subject, or a reason. */
export interface SubjectReport {
  readonly name: string;
  readonly kind: "attune" | "peer";
  readonly threads: number;
  /** The version of the package; null for the library itself. */
  readonly version: string | null;
  /** Why it is not measured, or not with more threads; null when it is. */
  readonly missing: string | null;
}

/** A number, or the reason why there is none. */
export type Result<Value> =
  | { readonly status: "measured" } & Value
  | { readonly status: "skipped" | "failed"; readonly reason: string };

export type Measurement =
  & { readonly subject: string; readonly threads: number; readonly shape: Shape; readonly workload: Workload }
  & Result<{ readonly timing: Timing; readonly gflops: number | null; readonly error: number }>;

export type MemoryMeasurement =
  & { readonly subject: string; readonly shape: Shape; readonly dataBytes: number }
  & Result<MemoryUse>;

export type ScaleMeasurement = { readonly subject: string; readonly shape: Shape } & Result<ScaleOutcome>;

/** The times of a fresh process. */
export interface FreshStart {
  readonly importMs: Timing;
  readonly createMs: Timing;
  readonly sourceBytes: number;
  readonly modules: number;
}

/** The machine's limit with some threads at once. */
export interface LimitMeasurement {
  readonly threads: number;
  readonly form: "fused" | "separate";
  readonly gflops: number;
}

/** A promise held against what was measured; `ratio` is null where nothing was. */
export interface TargetVerdict {
  readonly name: string;
  readonly wanted: string;
  readonly measured: string;
  readonly verdict: "met" | "missed" | "not measured";
}

/** How many edits before a read make recomputing cheaper. */
export interface BreakEven {
  readonly subject: string;
  readonly peer: string;
  readonly threads: number;
  readonly shape: Shape;
  /** Null when keeping current was cheaper as far as was looked. */
  readonly edits: number | null;
  /** The most edits that were tried. */
  readonly tried: number;
}

export interface BenchResults {
  /** ISO, the day of the run. */
  readonly date: string;
  readonly machine: Machine;
  readonly quick: boolean;
  readonly subjects: readonly SubjectReport[];
  readonly limits: readonly LimitMeasurement[];
  readonly measurements: readonly Measurement[];
  readonly memory: readonly MemoryMeasurement[];
  readonly scale: readonly ScaleMeasurement[];
  readonly fresh: Result<FreshStart>;
  readonly breakEven: readonly BreakEven[];
  readonly targets: readonly TargetVerdict[];
}

/** The median of a measurement, or null where there is none. */
export function medianOf(
  measurements: readonly Measurement[],
  subject: string,
  threads: number,
  shape: Shape,
  workload: Workload,
): number | null {
  const found = find(measurements, subject, threads, shape, workload);
  return found?.status === "measured" ? found.timing.median : null;
}

export function find(
  measurements: readonly Measurement[],
  subject: string,
  threads: number,
  shape: Shape,
  workload: Workload,
): Measurement | undefined {
  return measurements.find((one) =>
    one.subject === subject && one.threads === threads && one.shape.keyCount === shape.keyCount &&
    one.shape.queryCount === shape.queryCount && describeWorkload(one.workload) === describeWorkload(workload)
  );
}
