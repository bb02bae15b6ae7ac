/**
 * The exact range of positions that a query may attend to, for devices without float64. A float64 is mapped
 * to two words in the order of the numbers. Since rounding is monotone, the keys in reach of a query are
 * those between two positions, which are computed here; the device only compares words.
 */

import type { ScoreRule } from "../../numerics/score_rule.ts";

/** The rank of a float64 in the order of numbers, as a high and a low word. */
export type Place = readonly [high: number, low: number];

const number = new Float64Array(1);
const words = new Uint32Array(number.buffer);
/** The index of the high word of a float64 on this processor. */
const HIGH = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 1 : 0;
const SIGN = 0x80000000;

/** The places of the largest finite numbers of both signs. */
const LEAST_HIGH = 0x00100000, MOST_HIGH = 0xffefffff, MOST_LOW = 0xffffffff;

/** The place of a finite number; 0 and −0 have the same. */
export function placeOf(position: number): Place {
  number[0] = position + 0;
  const high = words[HIGH], low = words[1 - HIGH];
  return high >= SIGN ? [~high >>> 0, ~low >>> 0] : [(high | SIGN) >>> 0, low];
}

/** The number at a place. */
function numberAt(high: number, low: number): number {
  const isNegative = high < SIGN;
  words[HIGH] = isNegative ? ~high : high ^ SIGN;
  words[1 - HIGH] = isNegative ? ~low : low;
  return number[0];
}

/**
 * The first and the last place that a query at `position` may attend to; if there is none, the first is
 * behind the last.
 */
export function reachOf({ before, after }: ScoreRule, position: number): { first: Place; last: Place } {
  const isAhead = (high: number, low: number) => numberAt(high, low) - position >= -before;
  const isBeyond = (high: number, low: number) => !(numberAt(high, low) - position <= after);
  return { first: firstWhere(isAhead), last: placeBefore(firstWhere(isBeyond)) };
}

/** The first place at which a monotone condition holds; one more than the last place if it never does. */
function firstWhere(holds: (high: number, low: number) => boolean): Place {
  const high = bisect(LEAST_HIGH, MOST_HIGH, (high) => holds(high, MOST_LOW));
  if (high > MOST_HIGH) return [high, 0];
  return [high, bisect(0, MOST_LOW, (low) => holds(high, low))];
}

function bisect(first: number, last: number, holds: (at: number) => boolean): number {
  let low = first, high = last + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function placeBefore([high, low]: Place): Place {
  return low > 0 ? [high, low - 1] : [high - 1, MOST_LOW];
}
