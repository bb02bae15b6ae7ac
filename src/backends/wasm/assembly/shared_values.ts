// A shared-value pair is two terms with one value: the old and the new key of a slot whose value did not
// change. Their weights are added first, so that the value is multiplied once. The rounding of that sum is
// covered by the charge for two terms.

import { BLOCK_BYTES, CHUNK_TERMS, SCRATCH } from "../job_fields.ts";
import { VALUES_AT, WEIGHTS_AT, WIDE_WEIGHTS_AT } from "./weights.ts";

/**
 * Joins the `sharedValuePairs` shared-value pairs of a chunk, whose terms start at number `from`, in float32:
 * weights in place, addresses of values, which are read from `values`, in the scratch. Returns the number of
 * terms that are left.
 */
export function joinSharedValues(job: usize, values: usize, count: i32, from: i32, sharedValuePairs: i32): i32 {
  const scratch = load<usize>(job + SCRATCH);
  const left = joinValues(scratch + VALUES_AT, values, count, from, sharedValuePairs);
  let at = scratch + WEIGHTS_AT + <usize> from * BLOCK_BYTES, target = at;
  for (const end = at + <usize> sharedValuePairs * (2 * BLOCK_BYTES); at < end; at += 2 * BLOCK_BYTES, target += BLOCK_BYTES) {
    const low = f32x4.add(v128.load(at), v128.load(at, BLOCK_BYTES));
    const high = f32x4.add(v128.load(at, 16), v128.load(at, BLOCK_BYTES + 16));
    v128.store(target, low);
    v128.store(target, high, 16);
  }
  memory.copy(target, at, <usize> (count - from - 2 * sharedValuePairs) * BLOCK_BYTES);
  return left;
}

/**
 * The same with weights in float64, in the scratch, where the rounding of a sum of two weights does not
 * matter.
 */
export function widenWeights(job: usize, values: usize, count: i32, from: i32, sharedValuePairs: i32): i32 {
  const scratch = load<usize>(job + SCRATCH);
  const left = joinValues(scratch + VALUES_AT, values, count, from, sharedValuePairs);
  const sharedAt = scratch + WEIGHTS_AT + <usize> from * BLOCK_BYTES;
  const sharedEnd = sharedAt + <usize> sharedValuePairs * (2 * BLOCK_BYTES);
  const end = scratch + WEIGHTS_AT + <usize> count * BLOCK_BYTES;
  let target = scratch + WIDE_WEIGHTS_AT;
  for (let at = scratch + WEIGHTS_AT; at < end; at += BLOCK_BYTES, target += 2 * BLOCK_BYTES) {
    const sharesValue = at >= sharedAt && at < sharedEnd;
    for (let lane: usize = 0; lane < <usize> BLOCK_BYTES; lane += 8) {
      let weight = twoWeights(at + lane);
      if (sharesValue) weight = f64x2.add(weight, twoWeights(at + lane + BLOCK_BYTES));
      v128.store(target + 2 * lane, weight);
    }
    if (sharesValue) at += BLOCK_BYTES;
  }
  return left;
}

function joinValues(target: usize, values: usize, count: i32, from: i32, sharedValuePairs: i32): i32 {
  const end = from + 2 * sharedValuePairs;
  for (let t = 0; t < count; t += t >= from && t < end ? 2 : 1, target += 4) {
    store<u32>(target, load<u32>(values + (<usize> t << 2)));
  }
  return count - sharedValuePairs;
}

@inline
function twoWeights(at: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(at));
}
