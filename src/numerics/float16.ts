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
  // In units of the last place, which a number below 2⁻¹⁴ shares with that; a carry runs into the exponent as
  // it should.
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size));
  // log2 may round up to a whole number that `size` does not reach.
  const exact = size < 2 ** exponent && exponent > -14 ? exponent - 1 : exponent;
  const units = roundEven(size * 2 ** (10 - exact));
  return sign | (((exact + 14) << 10) + units);
}

/** The nearest whole number, the even one of two. */
function roundEven(number: number): number {
  const below = Math.floor(number), rest = number - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
