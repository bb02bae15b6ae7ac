/**
 * What a device is asked before it is trusted, as text for a shader: one addition and one product in two floats for each
 * pair of numbers in the list, and behind them what a sequence comes to after `termEnd` rounds of a loop.
 */

import { callStruct } from "../call_fields.ts";
import { twoFloats } from "./two_floats.ts";

/** The sequence x ← factor · x + step modulo 2^32, in which no number comes twice. */
export const LOOP_SEED = 1, LOOP_FACTOR = 1664525, LOOP_STEP = 1013904223;

export const SELF_TEST = /* wgsl */ `
${callStruct()}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<f32>;
${twoFloats(true)}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let at = id.x;
  if (at >= call.listCount) {
    return;
  }
  let a = bitcast<f32>(list[call.listFirst + 2u * at]);
  let b = bitcast<f32>(list[call.listFirst + 2u * at + 1u]);
  let sum = addTerm(TwoFloats(a, 0.0), b);
  let product = addProduct(TwoFloats(0.0, 0.0), a, b);
  found[4u * at] = sum.high;
  found[4u * at + 1u] = sum.low;
  found[4u * at + 2u] = product.high;
  found[4u * at + 3u] = product.low;
  if (at == 0u) {
    var state = ${LOOP_SEED}u;
    for (var round = 0u; round < call.termEnd; round++) {
      state = state * ${LOOP_FACTOR}u + ${LOOP_STEP}u;
    }
    // As two numbers that float32 holds.
    found[4u * call.listCount] = f32(state & 0xffffu);
    found[4u * call.listCount + 1u] = f32(state >> 16u);
  }
}
`;
