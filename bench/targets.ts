// The promises of the project, each held against what was measured here. What was not measured is not met.

import { answerAfter, patchOf, REBUILD, SCALE_SHAPE, TARGET_SHAPE } from "./plan.ts";
import { type BenchResults, type Measurement, medianOf, type TargetVerdict } from "./results.ts";
import { short } from "./statistics.ts";
import { leastFlops, type Workload } from "./workload.ts";

const ROW_CHOICES = ["same", "drifting", "random"] as const;

type Measured = Omit<BenchResults, "targets" | "breakEven">;

/** All targets, for one backend at a time. */
export function judgeTargets(results: Measured): TargetVerdict[] {
  const backends = new Set(results.subjects.filter(({ kind }) => kind === "attune").map(({ name }) => name));
  return [...[...backends].flatMap((backend) => judgeBackend(results, backend)), ...freshTargets(results)];
}

function judgeBackend(results: Measured, backend: string): TargetVerdict[] {
  const { measurements } = results;
  const named = (name: string) => `${backend}: ${name}`;
  const own = (workload: Workload, threads = 1) =>
    medianOf(measurements, backend, threads, TARGET_SHAPE, workload);
  const against = (name: string, peer: string, least: number, workload: Workload) =>
    atLeast(
      named(name),
      least,
      ratio(bestOfPeer(measurements, peer, workload), own(workload)),
      "×",
    );
  const limit = results.limits.find(({ threads }) => threads === 1)?.gflops ?? null;
  const ofLimit = (workload: Workload) => {
    const flops = leastFlops(workload, TARGET_SHAPE), ms = own(workload);
    return flops === null || ms === null || limit === null ? null : flops / ms / 1e6 / limit * 100;
  };
  const all = results.machine.cores;
  return [
    against("rebuild against onnxruntime-web", "onnxruntime-web", 1.6, REBUILD),
    against("rebuild against jax-js", "jax-js", 1.6, REBUILD),
    against("rebuild against tfjs wasm", "tfjs wasm", 8, REBUILD),
    atLeast(named("rebuild, share of the 128-bit FMA limit"), 70, ofLimit(REBUILD), "%"),
    atLeast(
      named("rebuild, all threads against one"),
      1.8,
      all === 1 ? null : ratio(own(REBUILD), own(REBUILD, all)),
      "×",
    ),
    atLeast(named("patch of 64 keys, share of the FMA limit"), 60, ofLimit(patchOf(64)), "%"),
    against("1 edit, read all, against onnxruntime-node", "onnxruntime-node", 100, answerAfter(1)),
    against("64 edits, read all, against onnxruntime-node", "onnxruntime-node", 10, answerAfter(64)),
    against(
      "1 edit, the same 16 rows, against onnxruntime-node",
      "onnxruntime-node",
      10,
      answerAfter(1, "key", "same"),
    ),
    ...ROW_CHOICES.map((rows) =>
      against(
        `1 edit, 16 ${rows} rows, not slower than onnxruntime-node afresh`,
        "onnxruntime-node",
        1,
        answerAfter(1, "key", rows),
      )
    ),
    ...scaleTargets(results, backend),
  ];
}

function freshTargets({ fresh }: Measured): TargetVerdict[] {
  const measured = fresh.status === "measured" ? fresh : null;
  return [
    atMost("small engine, after the import", 5, measured && measured.createMs.median, "ms"),
    atMost("import", 60, measured && measured.importMs.median, "ms"),
    atMost("source", 200, measured && measured.sourceBytes / 1000, "kB"),
  ];
}

function scaleTargets({ scale }: Measured, backend: string): TargetVerdict[] {
  const found = scale.find(({ subject, shape }) =>
    subject === backend && shape.keyCount === SCALE_SHAPE.keyCount
  );
  const measured = found?.status === "measured" ? found : null;
  const name = (what: string) => `${backend}: ${what} at 10⁶ keys`;
  return [
    atMost(name("an edit in batches of 64"), 20, measured && measured.edit.median * 1000, "µs"),
    atMost(name("one row read"), 100, measured && measured.readRow.median * 1000, "µs"),
    atMost(name("resident, of the data"), 1.3, measured && measured.residentBytes / measured.dataBytes, "×"),
  ];
}

/** The faster of a peer's forms, on one thread. */
function bestOfPeer(measurements: readonly Measurement[], peer: string, workload: Workload): number | null {
  const names = new Set(measurements.map(({ subject }) => subject).filter((name) => name.startsWith(peer)));
  const medians = [...names].flatMap((name) => medianOf(measurements, name, 1, TARGET_SHAPE, workload) ?? []);
  return medians.length === 0 ? null : Math.min(...medians);
}

function ratio(over: number | null, under: number | null): number | null {
  return over === null || under === null ? null : over / under;
}

export function atLeast(name: string, least: number, measured: number | null, unit: string): TargetVerdict {
  return verdict(name, `≥ ${least} ${unit}`, measured, unit, measured !== null && measured >= least);
}

export function atMost(name: string, most: number, measured: number | null, unit: string): TargetVerdict {
  return verdict(name, `≤ ${most} ${unit}`, measured, unit, measured !== null && measured <= most);
}

function verdict(
  name: string,
  wanted: string,
  measured: number | null,
  unit: string,
  isMet: boolean,
): TargetVerdict {
  if (measured === null) return { name, wanted, measured: "–", verdict: "not measured" };
  return { name, wanted, measured: `${short(measured)} ${unit}`, verdict: isMet ? "met" : "missed" };
}
