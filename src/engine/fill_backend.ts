/**
 * Makes a backend that holds the rows of a checked problem, for `attention` and for engines.
 */

import type { AttentionOutput, Backend, BackendConfig, BackendFactory } from "../backends/backend.ts";
import { NO_ROW, NOTHING } from "../backends/since.ts";
import { WHOLE } from "../backends/wanted.ts";
import { CapacityError } from "../base/errors.ts";
import type { Entries } from "../write/edit_log.ts";
import { maskKeys, maskQueries } from "../write/mask.ts";
import type { Matrix } from "../base/matrix.ts";
import type { Problem } from "./options.ts";

/** Wraps a backend before an engine uses it. */
export type WrapBackend = (backend: Backend) => Backend;

const NO_ROWS = new Uint32Array(0);

/** Makes an empty backend; throws if a single row is too large for memory. */
export async function makeBackend(
  operation: string,
  factory: BackendFactory,
  config: BackendConfig,
): Promise<Backend> {
  const { rotary } = config.rule;
  try {
    if (!rotary) return await factory(config);
    const { createRotaryBackend } = await import("../backends/host/rotary_backend.ts");
    return await createRotaryBackend(factory, config, rotary);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const { heads, headDim, valueDim } = config.layout;
    const what = `a query of ${heads} × ${headDim} and an output of ${heads} × ${valueDim} numbers`;
    throw new CapacityError(operation, what, 8 * heads * (headDim + valueDim), cause);
  }
}

/** Makes the problem's backend, wraps it and fills it. */
export async function fillBackend(
  operation: string,
  problem: Problem,
  wrap: WrapBackend = (backend) => backend,
): Promise<Backend> {
  const { query, key, value, queryPositions, keyPositions, layout, rule, mask, tolerance, factory } = problem;
  const sizes = { queryCount: queryPositions.length, keyCount: keyPositions.length };
  const config = { layout, rule, maskHeads: mask?.heads ?? 0, tolerance, sizes };
  const backend = wrap(await makeBackend(operation, factory, config));
  const scope = {
    keySize: keyPositions.length,
    querySize: queryPositions.length,
    hasKey: () => true,
    hasQuery: () => true,
  };
  try {
    const keys = insertedRows(joinRows(operation, key, value), keyPositions);
    const queries = insertedRows(query.data, queryPositions);
    const changes = { keys: maskKeys(mask, keys, scope), queries: maskQueries(mask, queries, scope) };
    await backend.store(changes, new Uint32Array(keys.slots.length).fill(NO_ROW), NO_ROWS);
    await backend.update(queries.slots, []);
  } catch (error) {
    await backend.dispose();
    throw CapacityError.ofCall(operation, error);
  }
  return backend;
}

/** Joins the rows of K and V to rows `[key | value]`. */
function joinRows(operation: string, key: Matrix, value: Matrix): Float32Array {
  const [count, keyWidth] = key.shape, valueWidth = value.shape[1];
  const size = count * (keyWidth + valueWidth), what = `${count} keys with their values`;
  const rows = CapacityError.guard(operation, what, 4 * size, () => new Float32Array(size));
  for (let j = 0; j < count; j++) {
    const start = j * (keyWidth + valueWidth);
    rows.set(key.data.subarray(j * keyWidth, (j + 1) * keyWidth), start);
    rows.set(value.data.subarray(j * valueWidth, (j + 1) * valueWidth), start + keyWidth);
  }
  return rows;
}

/** The rows as insertions into the slots 0, 1, 2, …, one position per row. */
function insertedRows(rows: Float32Array, positions: Float64Array): Entries {
  const count = positions.length;
  return {
    slots: Uint32Array.from({ length: count }, (_, slot) => slot),
    live: new Uint8Array(count).fill(1),
    rows,
    positions,
  };
}

/** Attention of a checked problem with all of its rules. */
export async function compute(operation: string, problem: Problem): Promise<AttentionOutput> {
  const backend = await fillBackend(operation, problem);
  try {
    const queries = Uint32Array.from({ length: problem.query.shape[0] }, (_, i) => i);
    return await backend.read({ queries, since: NOTHING }, WHOLE);
  } catch (error) {
    throw CapacityError.ofCall(operation, error);
  } finally {
    await backend.dispose();
  }
}
