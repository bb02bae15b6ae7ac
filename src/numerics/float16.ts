/**
 * IEEE 754 binary16 numbers by their bits, for engines of JavaScript without `Float16Array` (Node has it from
 * version 24 on).
 */

/** The number that 16 bits mean. */
export function fromFloat16Bits(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The bits of the binary16 number nearest to `number`, the even one of two; ±Infinity from 65520 on. */
export function toFloat16Bits(number: number): number {
  const sign = number < 0 || Object.is(number, -0) ? 0x8000 : 0;
  const size = Math.abs(number);
  if (Number.isNaN(number)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // The number is rounded in units of its last place, which numbers below 2⁻¹⁴ share; a carry runs into the exponent
  // as it should.
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size));
  // log2 may round up to a whole number that `size` does not reach.
  const exact = size < 2 ** exponent && exponent > -14 ? exponent - 1 : exponent;
  const units = roundEven(size * 2 ** (10 - exact));
  return sign | (((exact + 14) << 10) + units);
}

/** As `toFloat16Bits`, of a number that binary16 has. */
export function toExactHalf(number: number): number {
  WORD[0] = number;
  const size = WORD_BITS[0] & 0x7fffffff, sign = (WORD_BITS[0] >>> 16) & 0x8000;
  return sign | (size < LEAST_NORMAL ? Math.abs(number) * 2 ** 24 : (size >>> 13) - EXPONENT_SHIFT);
}

/** As `fromFloat16Bits`, of the bits of a finite number. */
export function fromExactHalf(bits: number): number {
  const size = bits & 0x7fff;
  if (size < 1024) return size === bits ? size * 2 ** -24 : -size * 2 ** -24;
  WORD_BITS[0] = ((bits & 0x8000) << 16) | ((size + EXPONENT_SHIFT) << 13);
  return WORD[0];
}

/** A float32 and its bits. */
const WORD = new Float32Array(1), WORD_BITS = new Uint32Array(WORD.buffer);
/** The bits of 2⁻¹⁴ as a float32; added to the exponent of a binary16 for that of a float32, at its place. */
const LEAST_NORMAL = 0x38800000, EXPONENT_SHIFT = 112 << 10;

/** The nearest whole number, the even one of two. */
function roundEven(number: number): number {
  const below = Math.floor(number), rest = number - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
