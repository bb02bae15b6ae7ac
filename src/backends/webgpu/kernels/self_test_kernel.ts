/**
 * The self-test of a device, as text for a shader. The list has three numbers for each thread, a, b and s.
 * After the results the kernel writes the value of a sequence after `termEnd` iterations of a loop.
 */

import { callStruct } from "../call_fields.ts";
import { EXPONENTIAL } from "./exponential.ts";
import { twoFloats } from "./two_floats.ts";

/** The sequence x ← factor · x + step modulo 2^32, in which no number comes twice. */
export const LOOP_SEED = 1, LOOP_FACTOR = 1664525, LOOP_STEP = 1013904223;
/** The number of inputs and of outputs of a thread. */
export const ASKED = 3, FOUND = 12;
/** The length of a chain of products, of this thread's inputs and of the next ones. */
export const CHAIN = 64;

export const SELF_TEST = /* wgsl */ `
${callStruct()}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<f32>;
${twoFloats(true)}
${EXPONENTIAL}

fn asked(at: u32, which: u32) -> f32 {
  return bitcast<f32>(list[call.listFirst + ${ASKED}u * (at % call.listCount) + which]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let at = id.x;
  if (at >= call.listCount) {
    return;
  }
  let a = asked(at, 0u);
  let b = asked(at, 1u);
  let s = asked(at, 2u);
  let goal = ${FOUND}u * at;
  let sum = addTerm(TwoFloats(a, 0.0), b);
  found[goal] = sum.high;
  found[goal + 1u] = sum.low;
  let product = addProduct(TwoFloats(0.0, 0.0), a, b);
  found[goal + 2u] = product.high;
  found[goal + 3u] = product.low;
  let power = powerOf(s);
  let exponential = mantissa(s, power);
  found[goal + 4u] = f32(power);
  found[goal + 5u] = exponential.high;
  found[goal + 6u] = exponential.low;
  let cap = capped(TwoFloats(s, 0.0));
  found[goal + 7u] = cap.high;
  found[goal + 8u] = cap.low;
  var chain = 0.0;
  for (var step = 0u; step < ${CHAIN}u; step++) {
    chain = fma(asked(at + step, 0u), asked(at + step, 1u), chain);
  }
  found[goal + 9u] = chain;
  // Numbers below the normal range may come out as 0, and as nothing else.
  found[goal + 10u] = opaque(a * 0x1p-128f);
  found[goal + 11u] = opaque(a * opaque(0x1p-126f) * opaque(0x1p-30f));
  if (at == 0u) {
    var state = ${LOOP_SEED}u;
    for (var round = 0u; round < call.termEnd; round++) {
      state = state * ${LOOP_FACTOR}u + ${LOOP_STEP}u;
    }
    // The number is written as two that float32 holds.
    found[${FOUND}u * call.listCount] = f32(state & 0xffffu);
    found[${FOUND}u * call.listCount + 1u] = f32(state >> 16u);
  }
}
`;
