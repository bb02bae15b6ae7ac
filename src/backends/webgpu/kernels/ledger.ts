/**
 * Bounds on the rounding of a row's sums, as text for a shader, in float32, u = 2^−24.
 *
 * With k terms in a chunk, p = Σ|a_t|·‖v_t‖∞ (for the mass Σ|a_t|) and P ≥ every partial sum of the row, the
 * bound grows by
 *
 *     plain             (k+1)·u·p + 8u²·P
 *     exact             4(k+1)²·u²·P
 *     no compensation   (k+1)·u·p + 2u·P
 *
 * where a plain chunk is k multiply-adds from 0 and one addition in two floats with a relative error of 2u².
 * Each product and each addition of an exact chunk adds at most u·P to the low part, which never exceeds
 * (2k+1)·u·P and is rounded 2k times. The bound also grows by (k+1)·2^−120 for numbers that are flushed to 0.
 * A build is exact if a term is a quarter of its row or more, or if there are few terms; a patch always is.
 * The factor KEEP_UP covers the rounding of the bound itself.
 */

export const ROUNDING_CONSTANTS = /* wgsl */ `
const ROUNDING = 5.9604644775390625e-8;
const EXACT_ROUNDING = 1.4210854715202004e-14;
const TWO_FLOAT_ROUNDING = 2.842170943040401e-14;
const FLUSHED = 7.52316384526264e-37;
/** The loss of a row that is moved so far that its sums vanish. */
const VANISHING = 1.1754943508222875e-38;
`;

export const LEDGER = /* wgsl */ `
${ROUNDING_CONSTANTS}
const KEEP_UP = 1.000000476837158;
/** A mass below 2^−60 of what the shift says has weights too near to underflow. */
const LEAST_MASS = 8.673617379884035e-19;
/** The least that a weight counts when rounding is charged, 2^−78. */
const LEAST_CHARGE = 3.308722450212111e-24;

var<private> chargedMass: f32;
var<private> chargedSize: f32;
var<private> chargedCount: u32;

/** Σ|a| and Σ|a|·‖v‖∞ of the terms of a chunk and their number, and whether it has to be summed exactly. */
fn chargeWeights(row: u32, count: u32, pairs: u32) {
  chargedMass = 0.0;
  chargedSize = 0.0;
  chargedCount = 0u;
  var largest = 0.0;
  var widest = 0.0;
  for (var term = 0u; term < count; term++) {
    if (termKind[term] == EMPTY_KEY) {
      continue;
    }
    let weight = weights[row * KEYS + keyOf(term, pairs)];
    let charged = max(weight, LEAST_CHARGE);
    let size = charged * termSize[term];
    chargedCount++;
    chargedMass += charged;
    chargedSize += size;
    largest = max(largest, weight);
    widest = max(widest, weight * termSize[term]);
  }
  let mass = rowBase[row] + SUMS + call.width - 2u;
  let factor = rowFactor[row];
  let isPeaked = 4.0 * largest > chargedMass + abs(heldAt(mass)) * factor ||
    4.0 * widest > chargedSize + abs(heldAt(mass + 1u)) * factor;
  rowExact[row] = select(0u, 1u, COMPENSATED && (!IS_BUILD || isPeaked || call.isExact != 0u));
}

fn charge(error: f32, charged: f32, held: f32, count: u32, isExact: bool) -> f32 {
  let steps = f32(count + 1u);
  let peak = abs(held) + charged;
  var added = fma(steps, FLUSHED, 0.0);
  if (isExact) {
    added += steps * steps * EXACT_ROUNDING * peak;
  } else {
    added += steps * ROUNDING * charged + select(2.0 * ROUNDING, TWO_FLOAT_ROUNDING, COMPENSATED) * peak;
  }
  return (error + added) * KEEP_UP;
}

/** Charges what the chunk that was just added may have done; one without keys does nothing. */
fn chargeChunk(row: u32) {
  if (chargedCount == 0u) {
    return;
  }
  let mass = rowBase[row] + SUMS + call.width - 2u;
  let isExact = rowExact[row] != 0u;
  massError = charge(massError, chargedMass, heldAt(mass), chargedCount, isExact);
  sumError = charge(sumError, chargedSize, heldAt(mass + 1u), chargedCount, isExact);
  rowFactor[row] = 1.0;
}

/** Whether a row may be read. Sums of no keys are 0, whatever was charged. */
fn isTrusted(row: u32) -> bool {
  let mass = rowBase[row] + SUMS + call.width - 2u;
  if (!(massError < DISTRUSTED)) {
    return false;
  }
  return rowShift[row] == EMPTY_SHIFT || (heldAt(mass) >= LEAST_MASS &&
    massError <= call.tolerance * heldAt(mass) && sumError <= call.tolerance * heldAt(mass + 1u));
}
`;
