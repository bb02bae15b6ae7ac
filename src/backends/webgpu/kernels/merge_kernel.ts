/**
 * Makes one state of the states of a row's parts, as text for a shader: a workgroup a row.
 *
 * The largest shift is that of the row; what was summed under a smaller one is multiplied by a power of two. Adding the
 * two floats of a part is two additions in two floats, each off by at most 8u²·P, where P ≥ every partial sum; with k
 * parts the bound grows by 16k·u²·P + (2k+1)·2^−120.
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
@group(0) @binding(2) var<storage, read_write> states: array<u32>;
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
/** By part: its first word, what its sums are multiplied by, and what they may be off by then. */
var<workgroup> bases: array<u32, ${record.MOST_PARTS}>;
var<workgroup> factors: array<f32, ${record.MOST_PARTS}>;
var<workgroup> errors: array<vec2f, ${record.MOST_PARTS}>;

fn heldAt(at: u32) -> f32 {
  return bitcast<f32>(states[at]);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let head = group.z;
  if (thread == 0u) {
    listed = listedRows(head);
    atomicStore(&largest, ${record.EMPTY_SHIFT});
  }
  let rows = workgroupUniformLoad(&listed);
  let row = group.x + group.y * groups.x;
  if (row >= rows.count || rows.parts == 1u) {
    return;
  }
  let slot = list[call.listFirst + head * call.listStride + row];
  let goal = ((slot - call.slotBase) * call.heads + head) * call.stateWords;
  let mass = SUMS + call.width - 2u;
  for (var part = thread; part < rows.parts; part += THREADS) {
    bases[part] = baseOf(rows, part, row, slot, head);
    atomicMax(&largest, bitcast<i32>(states[bases[part] + SHIFT]));
  }
  workgroupBarrier();
  let shift = atomicLoad(&largest);
  for (var part = thread; part < rows.parts; part += THREADS) {
    let base = bases[part];
    let factor = powerOfTwo(max(bitcast<i32>(states[base + SHIFT]) - shift, -1000));
    factors[part] = factor;
    errors[part] = fma(
      vec2f(heldAt(base + ${record.MASS_ERROR}u), heldAt(base + ${record.SUM_ERROR}u)),
      vec2f(factor),
      vec2f(heldAt(base + mass), heldAt(base + mass + 1u)) * VANISHING,
    );
  }
  workgroupBarrier();
  for (var column = thread; column < call.width; column += THREADS) {
    var held = TwoFloats(0.0, 0.0);
    for (var part = 0u; part < rows.parts; part++) {
      let high = bases[part] + SUMS + column;
      held = addTerm(held, heldAt(high) * factors[part]);
      held = addTerm(held, heldAt(high + call.width) * factors[part]);
    }
    states[goal + SUMS + column] = bitcast<u32>(held.high);
    states[goal + SUMS + call.width + column] = bitcast<u32>(held.low);
  }
  storageBarrier();
  workgroupBarrier();
  if (thread > 0u) {
    return;
  }
  let steps = f32(2u * rows.parts);
  let peak = vec2f(heldAt(goal + mass), heldAt(goal + mass + 1u));
  var error = steps * TWO_FLOAT_ROUNDING * peak + (steps + 1.0) * FLUSHED;
  for (var part = 0u; part < rows.parts; part++) {
    error += errors[part];
  }
  error *= KEEP_UP_PARTS;
  states[goal + SHIFT] = bitcast<u32>(shift);
  states[goal + ${record.CEILING}u] = bitcast<u32>(ceilingOf(shift, peak.x));
  states[goal + ${record.MASS_ERROR}u] = bitcast<u32>(error.x);
  states[goal + ${record.SUM_ERROR}u] = bitcast<u32>(error.y);
  states[goal + ${record.HEAVY_COUNT}u] = 0u;
}
`;
