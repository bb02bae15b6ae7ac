/**
 * The made-up sea that the playground starts from: where buoys are, how warm they say the water is, who asks, and how the
 * current carries buoys.
 *
 * Invariant: a pure function of a buoy's number, the same on every machine; the first buoys are the same however many
 * there are, and are spread over all of the sea.
 */

/** Half of its width and of its height, in miles; its middle is the origin. */
export const HALF_WIDTH = 5, HALF_HEIGHT = 3;
/** The coldest and the warmest water, in °C. */
export const COLDEST = 4, WARMEST = 28;
/** How far apart places that a hand or an address names are at least. */
export const HAND_STEP = 0.01, DRIFT_STEP = 0.001;

/** A place. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/** A buoy: a place, which makes its key, and what it measured there, which is its value. */
export interface Buoy extends Place {
  /** In °C. */
  readonly temperature: number;
}

/** Where the standing queries are at first. */
export const ASKERS: readonly Place[] = [
  { x: -3.2, y: 1.4 },
  { x: -0.9, y: -1.1 },
  { x: 1.6, y: 1.2 },
  { x: 3.6, y: -1.6 },
];
/** Their names. */
export const ASKER_NAMES: readonly string[] = ["A", "B", "C", "D"];

// The two numbers whose multiples fill a square most evenly: 1/ρ and 1/ρ², ρ³ = ρ + 1.
const STEP_X = 0.7548776662466927, STEP_Y = 0.5698402909980532, STEP_NOISE = 0.6180339887498949;
const MARGIN = 0.96;

/** Buoy `slot` of the beginning. */
export function firstBuoy(slot: number): Buoy {
  const x = rounded(HALF_WIDTH * MARGIN * (2 * fraction(0.5 + slot * STEP_X) - 1), HAND_STEP);
  const y = rounded(HALF_HEIGHT * MARGIN * (2 * fraction(0.5 + slot * STEP_Y) - 1), HAND_STEP);
  const water = 15 + 7 * Math.sin(0.55 * x + 0.9) * Math.cos(0.5 * y) + 1.6 * y;
  const noise = 3 * (fraction(slot * STEP_NOISE) - 0.5);
  return { x, y, temperature: rounded(clamp(water + noise, COLDEST, WARMEST), 0.1) };
}

/** Where the current carries a buoy: eddies side by side, which no buoy leaves. */
export function drifted({ x, y }: Place, miles: number): Place {
  const u = Math.PI * (x / HALF_WIDTH + 1) * 1.5, v = Math.PI * (y / HALF_HEIGHT + 1);
  return insideSea(
    { x: x + miles * Math.sin(u) * Math.cos(v), y: y - miles * Math.cos(u) * Math.sin(v) },
    DRIFT_STEP,
  );
}

/** The nearest place of the sea on a grid of `step`. */
export function insideSea({ x, y }: Place, step = HAND_STEP): Place {
  return {
    x: rounded(clamp(x, -HALF_WIDTH, HALF_WIDTH), step),
    y: rounded(clamp(y, -HALF_HEIGHT, HALF_HEIGHT), step),
  };
}

/** The nearest temperature that a buoy can say. */
export function possibleTemperature(temperature: number): number {
  return rounded(clamp(temperature, COLDEST, WARMEST), 0.1);
}

function rounded(number: number, step: number): number {
  const perUnit = Math.round(1 / step);
  // Adding 0 turns −0 into 0.
  return Math.round(number * perUnit) / perUnit + 0;
}

function clamp(number: number, least: number, largest: number): number {
  return Math.min(Math.max(number, least), largest);
}

function fraction(number: number): number {
  return number - Math.floor(number);
}
