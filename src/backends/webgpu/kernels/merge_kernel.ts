/**
 * Merges the states of a head row's parts to one state, as text for a shader, with one workgroup per head
 * row. The parts are set to 0 afterwards, so that no trace of them remains.
 *
 * The row takes the largest shift; sums under a smaller one are multiplied by a power of two. Adding the two
 * floats of a part is two additions in two floats, each with an error of at most 8u²·P, where P ≥ every
 * partial sum; with k parts that have keys the bound grows by 16k·u²·P + (2k+1)·2^−120. If only one part has
 * keys, it is copied.
 */

import { callStruct } from "../call_fields.ts";
import * as record from "../record_layout.ts";
import { EXPONENTIAL } from "./exponential.ts";
import { LISTED_ROWS } from "./listed_rows.ts";
import { ROUNDING_CONSTANTS } from "./ledger.ts";
import { twoFloats } from "./two_floats.ts";

export const MERGE = /* wgsl */ `
${callStruct()}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read_write> parts: array<u32>;
@group(0) @binding(3) var<storage, read_write> states: array<u32>;
${LISTED_ROWS}
${twoFloats(true)}
${EXPONENTIAL}
${ROUNDING_CONSTANTS}
const THREADS = 64u;
const SHIFT = ${record.SHIFT}u;
const SUMS = ${record.SUMS}u;
/** Pays for the rounding of a sum of bounds. */
const KEEP_UP_PARTS = ${1 + 2 ** -15};

var<workgroup> largest: atomic<i32>;

fn partAt(at: u32) -> f32 {
  return bitcast<f32>(parts[at]);
}

/** The sums of a part under the shift of the row. */
fn factorOf(base: u32, shift: i32) -> f32 {
  return powerOfTwo(max(bitcast<i32>(parts[base + SHIFT]) - shift, -1000));
}

fn isEmpty(base: u32) -> bool {
  return bitcast<i32>(parts[base + SHIFT]) == EMPTY_SHIFT;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let head = group.z;
  if (thread == 0u) {
    listedCount = countRows(head);
    atomicStore(&largest, EMPTY_SHIFT);
  }
  let rowCount = workgroupUniformLoad(&listedCount);
  let row = group.x + group.y * groups.x;
  if (row >= rowCount) {
    return;
  }
  let slot = slotOf(head, row);
  let goal = ((slot - call.slotBase) * call.heads + head) * call.stateWords;
  let mass = SUMS + call.width - 2u;
  for (var part = thread; part < call.partCount; part += THREADS) {
    atomicMax(&largest, bitcast<i32>(parts[baseOf(part, row, slot, head) + SHIFT]));
  }
  workgroupBarrier();
  let shift = atomicLoad(&largest);
  var error = vec2f();
  var steps = 0.0;
  if (thread == 0u) {
    for (var part = 0u; part < call.partCount; part++) {
      let base = baseOf(part, row, slot, head);
      if (isEmpty(base)) {
        continue;
      }
      let factor = factorOf(base, shift);
      let held = vec2f(partAt(base + mass), partAt(base + mass + 1u));
      error += fma(
        vec2f(partAt(base + ${record.MASS_ERROR}u), partAt(base + ${record.SUM_ERROR}u)),
        vec2f(factor),
        held * select(VANISHING, 0.0, factor == 1.0),
      );
      steps += 2.0;
    }
  }
  for (var column = thread; column < call.width; column += THREADS) {
    var held = TwoFloats(0.0, 0.0);
    var isFirst = true;
    for (var part = 0u; part < call.partCount; part++) {
      let base = baseOf(part, row, slot, head);
      if (isEmpty(base)) {
        continue;
      }
      let at = base + SUMS + column;
      let factor = factorOf(base, shift);
      let high = opaque(partAt(at) * factor);
      let low = opaque(partAt(at + call.width) * factor);
      if (isFirst) {
        held = TwoFloats(high, low);
        isFirst = false;
      } else {
        held = addTerm(addTerm(held, high), low);
      }
    }
    states[goal + SUMS + column] = bitcast<u32>(held.high);
    states[goal + SUMS + call.width + column] = bitcast<u32>(held.low);
  }
  storageBarrier();
  workgroupBarrier();
  for (var part = 0u; part < call.partCount; part++) {
    let base = baseOf(part, row, slot, head);
    for (var word = thread; word < call.stateWords; word += THREADS) {
      parts[base + word] = 0u;
    }
  }
  if (thread > 0u) {
    return;
  }
  let peak = vec2f(bitcast<f32>(states[goal + mass]), bitcast<f32>(states[goal + mass + 1u]));
  if (steps > 2.0) {
    error = (error + steps * TWO_FLOAT_ROUNDING * peak + (steps + 1.0) * FLUSHED) * KEEP_UP_PARTS;
  }
  states[goal + SHIFT] = bitcast<u32>(shift);
  states[goal + ${record.CEILING}u] = bitcast<u32>(ceilingOf(shift, peak.x));
  states[goal + ${record.MASS_ERROR}u] = bitcast<u32>(error.x);
  states[goal + ${record.SUM_ERROR}u] = bitcast<u32>(error.y);
  for (var word = ${record.HEAVY_COUNT}u; word < SUMS; word++) {
    states[goal + word] = 0u;
  }
}
`;
