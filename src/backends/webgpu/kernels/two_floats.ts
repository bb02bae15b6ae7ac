/**
 * Sums in two floats, as text for shaders. The rounding error of an addition is kept beside the sum (Knuth's
 * TwoSum, as DWPlusFP of Joldes, Muller and Popescu, 2017), and likewise that of a product (Dekker's
 * product).
 *
 * A compiler that treats float32 as real numbers would simplify these errors to 0. So intermediate results go
 * through `opaque`, which changes no bit but depends on a number that is known only at the call.
 */

/**
 * The WGSL text. With `isCompensated` false additions are plain, for devices on which two-float sums do not
 * work.
 */
export function twoFloats(isCompensated: boolean): string {
  return /* wgsl */ `
const COMPENSATED = ${isCompensated};

struct TwoFloats {
  high: f32,
  low: f32,
}

fn opaque(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ call.zero);
}

/** The exact sum held + term minus its rounded one. */
fn dropped(held: f32, term: f32, sum: f32) -> f32 {
  let taken = opaque(sum - held);
  let kept = opaque(sum - taken);
  let left = opaque(held - kept);
  let right = opaque(term - taken);
  return opaque(left + right);
}

/** Moves what the low part has gathered to the high one. */
fn settled(sum: f32, rest: f32) -> TwoFloats {
  let total = opaque(sum + rest);
  return TwoFloats(total, rest - opaque(total - sum));
}

/** held + term, off by at most 2u² of the result. */
fn addTerm(held: TwoFloats, term: f32) -> TwoFloats {
  let sum = opaque(held.high + term);
  if (!COMPENSATED) {
    return TwoFloats(sum, 0.0);
  }
  return settled(sum, opaque(held.low + dropped(held.high, term, sum)));
}

/** The rest of x beyond its first 12 bits. */
fn beyond(x: f32) -> f32 {
  return x - bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}

/**
 * a · b, and what the product is rounded by: the sum of four products of 12 bits, which are exact, so that no
 * device has to have a multiply-add that rounds once.
 */
fn productOf(a: f32, b: f32) -> TwoFloats {
  let product = opaque(a * b);
  let aLow = opaque(beyond(a));
  let bLow = opaque(beyond(b));
  let aHigh = opaque(a - aLow);
  let bHigh = opaque(b - bLow);
  var rest = opaque(opaque(aHigh * bHigh) - product);
  rest = opaque(rest + opaque(aHigh * bLow));
  rest = opaque(rest + opaque(aLow * bHigh));
  rest = opaque(rest + opaque(aLow * bLow));
  return TwoFloats(product, rest);
}

/** held + weight · value without rounding the product; the low part is left to gather. */
fn addProduct(held: TwoFloats, weight: f32, value: f32) -> TwoFloats {
  let product = productOf(weight, value);
  let sum = opaque(held.high + product.high);
  return TwoFloats(sum, opaque(held.low + opaque(dropped(held.high, product.high, sum) + product.low)));
}
`;
}
