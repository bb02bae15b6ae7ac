// Many keys: making the engine, editing it in batches, reading one row, and what stays resident.

import { DynamicAttention } from "../../mod.ts";
import { isBackendName } from "../../src/backends/select.ts";
import { EditStream } from "../data.ts";
import { checkOutput, rowsOf } from "../oracle_check.ts";
import { time, type TimeLimits, type Timing } from "../stopwatch.ts";
import type { Shape } from "../workload.ts";
import { engineOptions } from "./edited_engine.ts";
import { measureMemory } from "./subject.ts";

export const BATCH = 64;

export interface ScaleOutcome {
  readonly createMs: number;
  /** Milliseconds of one edit in a batch, applied. */
  readonly edit: Timing;
  /** Milliseconds to read one row when nothing is pending. */
  readonly readRow: Timing;
  /** Bytes of queries, keys and values in float32. */
  readonly dataBytes: number;
  /** Bytes that stayed resident once the caller let go of its inputs. */
  readonly residentBytes: number;
  /** The distance of the row read last from the oracle, over the largest value. */
  readonly error: number;
}

/** Measures an engine of this size; the warm-up of each operation is part of `limits`. */
export async function measureScale(
  shape: Shape,
  backend: string,
  limits: TimeLimits,
): Promise<ScaleOutcome> {
  if (!isBackendName(backend)) throw new Error(`there is no backend ${JSON.stringify(backend)}`);
  const { queryCount, keyCount, headDim, valueDim } = shape;
  const made: DynamicAttention[] = [];
  let createMs = 0;
  const memory = await measureMemory(async () => {
    const options = engineOptions(shape);
    const start = performance.now();
    made.push(await DynamicAttention.create({ ...options, backend, lazyThreshold: Infinity }));
    createMs = performance.now() - start;
  });
  await using live = made[0];
  const stream = new EditStream(keyCount, headDim);
  let edits = 0;
  const batch = await time(async () => {
    for (let count = 0; count < BATCH; count++, edits++) {
      const { key, row } = stream.next();
      live.setKey(key, row);
    }
    await live.flush();
  }, limits);
  let row = 0;
  const readRow = await time(async () => void await live.read([row++ % queryCount]), limits);

  // The inputs once more, with the same edits: nothing of them was kept.
  const { query, key, value } = engineOptions(shape);
  const keys = rowsOf(key.data, headDim);
  const replay = new EditStream(keyCount, headDim);
  for (let count = 0; count < edits; count++) {
    const edit = replay.next();
    keys[edit.key] = edit.row;
  }
  const error = checkOutput({
    query: [query.data.subarray(0, headDim)],
    key: keys,
    value: rowsOf(value.data, valueDim),
    output: (await live.read([0])).data,
    valueDim,
  });
  return {
    createMs,
    edit: {
      ...batch,
      median: batch.median / BATCH,
      spread: [batch.spread[0] / BATCH, batch.spread[1] / BATCH],
    },
    readRow,
    dataBytes: 4 * (queryCount * headDim + keyCount * (headDim + valueDim)),
    residentBytes: memory.resident,
    error,
  };
}
