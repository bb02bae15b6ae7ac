// The subjects that are measured, each in a process of its own: an engine on one of its backends, a peer, or
// the machine's limit.

import type { Shape, Workload } from "../workload.ts";
import type { TimeLimits, Timing } from "../stopwatch.ts";

/** A subject's name and kind. */
export type SubjectKey =
  | { readonly kind: "attune"; readonly backend: string; readonly threads: number }
  | { readonly kind: "peer"; readonly form: string; readonly threads: number };

/** The result of a measurement. */
export interface Outcome {
  /** The timing of one run of the workload. */
  readonly timing: Timing;
  /** The largest distance of checked rows from the oracle, over the largest value. */
  readonly error: number;
}

/** Resident bytes that a subject needs at a shape, its inputs included. */
export interface MemoryUse {
  /** Once it could go on answering. */
  readonly resident: number;
  /** At most, on the way there; null where the system does not tell. */
  readonly peak: number | null;
}

export interface Subject {
  /** @throws When the subject cannot do it, or does it wrongly. */
  measure(shape: Shape, workload: Workload, limits: TimeLimits): Promise<Outcome>;
  /** Measures the memory of a fresh process. */
  memory(shape: Shape): Promise<MemoryUse>;
}

/** A name for tables and files. */
export function subjectName(key: SubjectKey): string {
  return key.kind === "attune" ? `attune ${key.backend}` : key.form;
}

declare global {
  /** There with the V8 switch --expose-gc. */
  var gc: (() => void) | undefined;
}

/** Large buffers are given back a while after they were found to be garbage. */
const SWEEP_MS = 100;

/** Resident bytes before and after `work`, garbage collected. */
export async function measureMemory(work: () => Promise<void>): Promise<MemoryUse> {
  const before = await residentBytes();
  await work();
  const resident = await residentBytes();
  const peak = peakBytes();
  return { resident: resident - before, peak: peak === null ? null : peak - before };
}

async function residentBytes(): Promise<number> {
  for (let pass = 0; pass < 2; pass++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, SWEEP_MS));
  }
  return Deno.memoryUsage().rss;
}

/** The most bytes that were resident since the process began. */
function peakBytes(): number | null {
  try {
    const [, kibibytes] = /^VmHWM:\s*(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}
