// The workloads of the benchmark on a device: what an engine is asked, again and again, and what is counted
// meanwhile.

import { createEngine } from "../../src/engine/create_engine.ts";
import type { GpuDevice } from "../../src/backends/webgpu/device.ts";
import type { Traffic } from "../../src/backends/webgpu/traffic.ts";
import { WebgpuBackend } from "../../src/backends/webgpu/webgpu_backend.ts";
import type { DynamicAttention } from "../../mod.ts";
import { EditStream, RowStream, seededInputs } from "../data.ts";
import type { Shape } from "../workload.ts";
import { median } from "simple-statistics";

/** One line of the table. */
export interface Line {
  readonly name: string;
  /** Milliseconds from the call to the answer, median. */
  readonly milliseconds: number;
  /** Milliseconds that the device was busy with the update, mean; NaN where it has no clock. */
  readonly gpuMilliseconds: number;
  /** Operations of the update, two a multiply-add; upkeep, exp and compensation count as none. */
  readonly operations: number;
  /** The traffic of one repetition. */
  readonly traffic: Omit<Traffic, "buffers" | "bufferBytes" | "busyMs">;
}

type Step = (live: DynamicAttention, edits: EditStream) => Promise<unknown>;

interface Workload {
  readonly name: string;
  readonly operations: (shape: Shape) => number;
  readonly step: Step;
}

const perTerm = ({ queryCount, headDim, valueDim }: Shape) => 2 * queryCount * (headDim + valueDim);

function editKeys(live: DynamicAttention, edits: EditStream, count: number): void {
  for (let t = 0; t < count; t++) {
    const { key, row } = edits.next();
    live.set(key, keyIn(row), valueIn(row));
  }
}

const rowOf = (shape: Shape) => shape.keyCount * perTerm({ ...shape, queryCount: 1 });
const keyIn = (row: Float32Array) => row.subarray(0, row.length / 2);
const valueIn = (row: Float32Array) => row.subarray(row.length / 2);

/** All workloads. */
function workloadsOf(shape: Shape): readonly Workload[] {
  return [
    {
      name: "rebuild",
      operations: (shape) => shape.keyCount * perTerm(shape),
      step: (live) => live.rebuild(),
    },
    ...[1, 4, 16, 64, 256].map((count): Workload => ({
      name: `patch of ${count}`,
      operations: (shape) => 2 * count * perTerm(shape),
      step(live, edits) {
        editKeys(live, edits, count);
        return live.flush();
      },
    })),
    ...keyEditWorkloads(shape),
    ...otherEditWorkloads(),
    {
      name: "1 passing query attended",
      operations: rowOf,
      step: (live, edits) => live.attend([keyIn(edits.next().row)]),
    },
    {
      name: "weights of a row",
      operations: ({ keyCount, headDim }) => 2 * keyCount * headDim,
      step: (live) => live.weights(0),
    },
  ];
}

/** Whole keys with their values, and reads; few rows are those of a stream of 16. */
function keyEditWorkloads(shape: Shape): readonly Workload[] {
  const rows = new RowStream(shape.queryCount, 16, "same");
  const allRows = (count: number, name: string): Workload => ({
    name,
    operations: (shape) => 2 * count * perTerm(shape),
    step(live, edits) {
      editKeys(live, edits, count);
      return live.read();
    },
  });
  let oldest = 0;
  return [
    allRows(1, "1 edit, all rows read"),
    allRows(64, "64 edits, all rows read"),
    {
      name: "1 edit, the same 16 rows read",
      operations: (shape) => 2 * perTerm({ ...shape, queryCount: 16 }),
      step(live, edits) {
        editKeys(live, edits, 1);
        return live.read(rows.next());
      },
    },
    {
      name: "a key comes, one goes, all rows read",
      operations: (shape) => 2 * perTerm(shape),
      step(live, edits) {
        const { row } = edits.next();
        live.delete(oldest++ % shape.keyCount);
        live.insert(keyIn(row), valueIn(row));
        return live.read();
      },
    },
  ];
}

/** Values, single numbers and queries. */
function otherEditWorkloads(): readonly Workload[] {
  return [
    {
      name: "1 value edited, all rows read",
      operations: (shape) => perTerm(shape) + 2 * shape.queryCount * shape.valueDim,
      step(live, edits) {
        const { key, row } = edits.next();
        live.setValue(key, valueIn(row));
        return live.read();
      },
    },
    {
      name: "1 number of a key edited, all rows read",
      operations: (shape) => 2 * perTerm(shape),
      step(live, edits) {
        live.addToKey(edits.next().key, 3, 0.01);
        return live.read();
      },
    },
    {
      name: "1 query changed, its row read",
      operations: rowOf,
      step(live, edits) {
        live.setQuery(0, keyIn(edits.next().row));
        return live.read([0]);
      },
    },
  ];
}

/** Runs all workloads; each some times, the first of which do not count. */
export async function runWorkloads(shape: Shape, gpu: GpuDevice, repetitions: number): Promise<Line[]> {
  const { queryCount, keyCount, headDim, valueDim } = shape;
  const inputs = seededInputs(shape);
  const matrix = (data: Float32Array, rows: number, columns: number) => ({
    data,
    shape: [rows, columns] as const,
  });
  const rule = { scale: 1 / Math.sqrt(headDim), softcap: 0, before: Infinity, after: Infinity };
  const layout = { heads: 1, kvHeads: 1, headDim, valueDim };
  const backend = new WebgpuBackend(
    { layout, rule, maskHeads: 0, tolerance: 1e-8 },
    () => Promise.resolve(gpu),
  );
  await using live = await createEngine({
    query: matrix(inputs.query, queryCount, headDim),
    key: matrix(inputs.key, keyCount, headDim),
    value: matrix(inputs.value, keyCount, valueDim),
    lazyThreshold: Infinity,
    onThreshold: "patch",
    backend: "array",
  }, { wrap: () => backend });
  await live.read();
  const lines: Line[] = [];
  for (const [at, { name, operations, step }] of workloadsOf(shape).entries()) {
    // Rows of its own: an edit that changes nothing costs nothing.
    const edits = new EditStream(keyCount, headDim + valueDim, at + 2);
    await step(live, edits);
    await live.read();
    const times: number[] = [];
    const before = { ...backend.traffic }, busyBefore = backend.deviceMs;
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const start = performance.now();
      await step(live, edits);
      // A flush returns before the device is done.
      await gpu.device.queue.onSubmittedWorkDone();
      times.push(performance.now() - start);
    }
    const per = (count: "submits" | "dispatches" | "maps" | "bytesUp" | "bytesDown") =>
      (backend.traffic[count] - before[count]) / repetitions;
    const traffic = {
      submits: per("submits"),
      dispatches: per("dispatches"),
      maps: per("maps"),
      bytesUp: per("bytesUp"),
      bytesDown: per("bytesDown"),
    };
    // Brings along the times of the passes before it.
    await live.read([0]);
    const busy = backend.deviceMs === null ? NaN : backend.deviceMs - (busyBefore ?? 0);
    lines.push({
      name,
      milliseconds: median(times),
      gpuMilliseconds: busy / repetitions,
      operations: operations(shape),
      traffic,
    });
  }
  return lines;
}
