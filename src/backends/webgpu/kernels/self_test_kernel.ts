/**
 * What a device is asked before it is trusted, as text for a shader: one addition and one product in two floats for each
 * pair of numbers in the list.
 */

import { callStruct } from "../call_fields.ts";
import { twoFloats } from "./two_floats.ts";

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
}
`;
