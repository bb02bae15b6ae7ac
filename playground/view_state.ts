/**
 * The view as the part of an address after `#`, so that it can be sent to somebody.
 *
 * Invariant: `toHash` then `fromHash` gives the same state. What an address says wrongly is left as it is at first, with a
 * sentence that names what came and what was expected.
 */

import type { BackendName } from "../mod.ts";
import { describe, InputError } from "../src/base/errors.ts";
import { HEADS } from "./rows.ts";
import {
  ASKERS,
  type Buoy,
  COLDEST,
  DRIFT_STEP,
  HALF_HEIGHT,
  HALF_WIDTH,
  insideSea,
  type Place,
  possibleTemperature,
  WARMEST,
} from "./sea.ts";

/** All that an address can say. */
export interface ViewState {
  /** Buoys of the beginning: 2 to this power. */
  readonly power: number;
  readonly head: number;
  /** The scale is 2 to this power. */
  readonly scalePower: number;
  readonly softcap: number;
  /** Changed slots that may wait; Infinity for any. */
  readonly threshold: number;
  /** How far off a stale answer may be, in °C; Infinity for any. */
  readonly budget: number;
  readonly backend: BackendName;
  /** The query and the buoy that are looked at. */
  readonly query: number;
  readonly slot: number;
  readonly queries: readonly Place[];
  /** How the sea differs from its beginning, see `LabOptions`. */
  readonly changes: ReadonlyMap<number, Buoy | null>;
}

/** Ends of sliders. */
export const LEAST_POWER = 4, MOST_POWER = 16, MOST_SCALE_POWER = 3, MOST_SOFTCAP = 20;
/** The choices of how many edits may wait, and how far off answers may be. */
export const THRESHOLDS: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 256, 1024, 4096, Infinity];
export const BUDGETS: readonly number[] = [0.01, 0.03, 0.1, 0.3, 1, 3, Infinity];
/** Where the engine may compute. */
export const BACKENDS: readonly BackendName[] = ["auto", "wasm", "array", "webgpu"];
/** More changed buoys are not in an address. */
export const MOST_CHANGES = 256;

/** The view that a visitor sees first. */
export const FIRST_VIEW: ViewState = {
  power: 14,
  head: 0,
  scalePower: 0,
  softcap: 0,
  threshold: 1024,
  budget: Infinity,
  backend: "auto",
  query: 1,
  slot: 21,
  queries: ASKERS,
  changes: new Map(),
};

/** The part of an address after `#`: what differs from what a visitor sees first; "" for nothing. */
export function toHash(state: ViewState): string {
  const parts: string[] = [];
  for (const name of NUMBERS) {
    if (state[name] !== FIRST_VIEW[name]) parts.push(`${name}=${numberText(state[name])}`);
  }
  if (state.backend !== FIRST_VIEW.backend) parts.push(`backend=${state.backend}`);
  const queries = state.queries.map(placeText).join("_");
  if (queries !== ASKERS.map(placeText).join("_")) parts.push(`queries=${queries}`);
  if (state.changes.size > 0) {
    const keys = [...state.changes].slice(0, MOST_CHANGES).map(([slot, buoy]) =>
      buoy ? `${slot}:${placeText(buoy)},${numberText(buoy.temperature)}` : `${slot}:gone`
    );
    parts.push(`keys=${keys.join("_")}`);
  }
  return parts.join("&");
}

/** Reads the view of an address, with a sentence for each part that is wrong. */
export function fromHash(hash: string): { state: ViewState; complaints: InputError[] } {
  const complaints: InputError[] = [];
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const read = <T>(name: string, first: T, expected: string, parse: (text: string) => T | null): T => {
    const text = said.get(name);
    if (text === null) return first;
    const parsed = parse(text);
    if (parsed !== null) return parsed;
    complaints.push(new InputError("address", `${name} is ${describe(text.slice(0, 40))}`, expected));
    return first;
  };
  const whole = (name: "power" | "head" | "query" | "scalePower", least: number, most: number) =>
    read(name, FIRST_VIEW[name], `an integer from ${least} to ${most}`, (text) => {
      const number = numberOf(text);
      return Number.isInteger(number) && number >= least && number <= most ? number : null;
    });
  const oneOf = (name: "threshold" | "budget", choices: readonly number[]) =>
    read(name, FIRST_VIEW[name], `one of ${choices.map(numberText).join(", ")}`, (text) => {
      const number = numberOf(text);
      return choices.includes(number) ? number : null;
    });
  const power = whole("power", LEAST_POWER, MOST_POWER);
  const changes = read("keys", FIRST_VIEW.changes, KEYS_EXPECTED, (text) => toChanges(text, 2 ** power));
  const slots = 2 ** power + MOST_CHANGES;
  const state: ViewState = {
    power,
    head: whole("head", 0, HEADS - 1),
    scalePower: read(
      "scalePower",
      FIRST_VIEW.scalePower,
      `a number from ${-MOST_SCALE_POWER} to ${MOST_SCALE_POWER}`,
      (text) => within(numberOf(text), -MOST_SCALE_POWER, MOST_SCALE_POWER),
    ),
    softcap: read(
      "softcap",
      FIRST_VIEW.softcap,
      `a number from 0 to ${MOST_SOFTCAP}`,
      (text) => within(numberOf(text), 0, MOST_SOFTCAP),
    ),
    threshold: oneOf("threshold", THRESHOLDS),
    budget: oneOf("budget", BUDGETS),
    backend: read(
      "backend",
      FIRST_VIEW.backend,
      BACKENDS.join(", "),
      (text) => BACKENDS.find((name) => name === text) ?? null,
    ),
    query: whole("query", 0, ASKERS.length - 1),
    slot: read("slot", FIRST_VIEW.slot, "the number of a key", (text) => {
      const slot = within(numberOf(text), 0, slots);
      return Number.isInteger(slot) ? slot : null;
    }),
    queries: read("queries", FIRST_VIEW.queries, `${ASKERS.length} places x,y between _`, toPlaces),
    changes,
  };
  return { state, complaints };
}

const NUMBERS = ["power", "head", "scalePower", "softcap", "threshold", "budget", "query", "slot"] as const;
const KEYS_EXPECTED = `slot:x,y,temperature or slot:gone, ${MOST_CHANGES} at most, between _`;

function numberText(number: number): string {
  return number === Infinity ? "never" : String(Number(number.toFixed(3)));
}

function placeText({ x, y }: Place): string {
  return `${numberText(x)},${numberText(y)}`;
}

function numberOf(text: string): number {
  return text === "never" ? Infinity : /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
}

function within(number: number, least: number, most: number): number | null {
  return number >= least && number <= most ? number : null;
}

function toPlaces(text: string): readonly Place[] | null {
  const places = text.split("_").map((part) => part.split(",").map(numberOf));
  const isPlace = (place: readonly number[]) =>
    place.length === 2 && Math.abs(place[0]) <= HALF_WIDTH && Math.abs(place[1]) <= HALF_HEIGHT;
  if (places.length !== ASKERS.length || !places.every(isPlace)) return null;
  return places.map(([x, y]) => insideSea({ x, y }, DRIFT_STEP));
}

/** Slots from `count` on are new, and follow each other. */
function toChanges(text: string, count: number): ReadonlyMap<number, Buoy | null> | null {
  const changes = new Map<number, Buoy | null>();
  for (const part of text.split("_")) {
    const [name, said, ...more] = part.split(":");
    const slot = numberOf(name);
    if (more.length > 0 || said === undefined || !Number.isInteger(slot) || slot < 0) return null;
    if (slot >= count + MOST_CHANGES || changes.size >= MOST_CHANGES) return null;
    if (said === "gone") {
      changes.set(slot, null);
      continue;
    }
    const [x, y, temperature, ...rest] = said.split(",").map(numberOf);
    if (rest.length > 0 || !(Math.abs(x) <= HALF_WIDTH && Math.abs(y) <= HALF_HEIGHT)) return null;
    if (!(temperature >= COLDEST && temperature <= WARMEST)) return null;
    changes.set(slot, { ...insideSea({ x, y }, DRIFT_STEP), temperature: possibleTemperature(temperature) });
  }
  return changes;
}
