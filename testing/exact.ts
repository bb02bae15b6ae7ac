// Exact arithmetic on float64 numbers: a finite float64 is a whole number of 2^−1074, so sums are sums of
// bigints.

const bits = new DataView(new ArrayBuffer(8));

/** A finite number in units of 2^−1074. */
export function toExact(number: number): bigint {
  if (!Number.isFinite(number)) throw new RangeError(`toExact: ${number}, expected a finite number`);
  bits.setFloat64(0, number);
  const word = bits.getBigUint64(0);
  const fraction = word & 0xfffffffffffffn;
  const exponent = (word >> 52n) & 0x7ffn;
  const magnitude = exponent === 0n ? fraction : (fraction | 0x10000000000000n) << (exponent - 1n);
  return word >> 63n === 0n ? magnitude : -magnitude;
}

/** The exact sum of finite numbers, in units of 2^−1074. */
export function exactSum(numbers: Iterable<number>): bigint {
  let sum = 0n;
  for (const number of numbers) sum += toExact(number);
  return sum;
}

/** The absolute value. */
export function magnitudeOf(number: bigint): bigint {
  return number < 0n ? -number : number;
}

/** `a / b` as a number, to about 15 digits; 0 / 0 is 0. */
export function ratio(a: bigint, b: bigint): number {
  if (b === 0n) return a === 0n ? 0 : Infinity;
  // The quotient is kept at about 64 bits, so that neither a small nor a large one is lost.
  const shift = bitLength(b) - bitLength(a) + 64;
  const quotient = shift >= 0 ? (a << BigInt(shift)) / b : a / (b << BigInt(-shift));
  return Number(quotient) * 2 ** -shift;
}

function bitLength(number: bigint): number {
  return 4 * magnitudeOf(number).toString(16).length;
}
