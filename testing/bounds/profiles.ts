// How programs are drawn: numbers of ordinary size, of mixed sizes, and of all that float32 can hold.

import type { BackendName } from "../../mod.ts";
import type { Random } from "../random.ts";
import type { BoundProgram, Step } from "./program.ts";

/** What kind of numbers a program has. */
export type ProfileName = "ordinary" | "mixed" | "wild";

export const PROFILES: readonly ProfileName[] = ["ordinary", "mixed", "wild"];

/** Numbers that have broken attention elsewhere: masks, ends of ranges, places where formats change. */
const SPECIAL = [
  ...[0, -0, 1, -1, 2 ** -24, 2 ** -149, -(2 ** -149), 2 ** -126, 1e-30, 1e-10, 88.8, -104, 709, -745],
  ...[2 ** 24, 1e9, -1e9, 1e10, 2 ** 63, 2 ** 99, 2 ** 100, -(2 ** 101), 1e30, 3.4028234663852886e38],
  -3.4028234663852886e38,
];
/** Scores at which weights vanish, sums are shifted, or a key holds all the weight. */
const SCORES = [-800, -746, -700, -104, -88, -41, -36, -1, 1, 17, 36, 41, 60, 88, 104, 300, 700, 746, 800];
const BIASES: Readonly<Record<ProfileName, readonly number[]>> = {
  ordinary: [0, 0, 0, -Infinity, -1, 0.5],
  mixed: [0, 0, -Infinity, -1e9, -10000, -100, -1e9, 50, 0.5],
  wild: [0, -Infinity, -1e9, -1e9, 1e9, -3.4028234663852886e38, -3e38, 1e30, -746, -1e-3, 2 ** -149],
};

/** A program of some hundred numbers. */
export function drawProgram(
  random: Random,
  profile: ProfileName,
  backend: BackendName,
  others: readonly BackendName[],
): BoundProgram {
  const kvHeads = random.pick([1, 1, 1, 2]), heads = kvHeads * random.pick([1, 1, 2]);
  const headDim = 1 + random.below(4);
  const rule = {
    heads,
    kvHeads,
    headDim,
    valueDim: 1 + random.below(3),
    scale: profile === "ordinary" ? 1 / Math.sqrt(headDim) : random.pick([1, 1, 0.3, 1e-3, 40]),
    softcap: random.pick([0, 0, 0, profile === "wild" ? 10 ** (6 * random.next() - 3) : 3, 30]),
    causal: random.pick([false, false, false, { offset: random.below(4) }]),
    window: [random.pick([Infinity, Infinity, 5]), Infinity] as const,
  };
  const drawing = new Drawing(random, profile, rule);
  const queryCount = 1 + random.below(3), keyCount = random.below(7);
  // A table grows when it is full; to fill it takes many keys.
  const isLong = random.below(25) === 0;
  const query = Array.from({ length: queryCount }, () => drawing.query());
  const first: Pick<BoundProgram, "query" | "key" | "value"> = {
    query,
    key: Array.from({ length: isLong ? 30 : keyCount }, () => drawing.key(query)),
    value: Array.from({ length: isLong ? 30 : keyCount }, () => drawing.value()),
  };
  const steps: Step[] = [], isFollowed = random.below(3) === 0;
  const length = isLong ? 60 : 6 + random.below(24);
  while (steps.length < length) {
    for (let burst = 1 + random.below(3); burst > 0; burst--) steps.push(drawing.step(query, others, isLong));
    if (isFollowed && random.below(2) === 0) steps.push({ kind: "refresh" });
    else steps.push({ kind: "peek", rows: random.pick([0, 0, 1, 2]) });
  }
  return {
    backend,
    threads: random.below(40) === 0 ? 2 : 1,
    rule,
    biases: random.below(3) > 0
      ? []
      : Array.from({ length: 1 + random.below(6) }, () => random.pick(BIASES[profile])),
    edits: random.pick([Infinity, Infinity, Infinity, 12, 3]),
    error: random.pick([Infinity, Infinity, 1, 0.1, 1e-3]),
    followed: random.pick([0, 1e-3, 0.1, 1]),
    onThreshold: random.pick(["auto", "patch", "rebuild"]),
    tolerance: random.pick([1e-8, 1e-8, 1e-3]),
    ...first,
    steps,
  };
}

/** Draws what programs are made of. */
export class Drawing {
  readonly #random: Random;
  readonly #profile: ProfileName;
  readonly #rule: BoundProgram["rule"];

  constructor(random: Random, profile: ProfileName, rule: BoundProgram["rule"]) {
    this.#random = random;
    this.#profile = profile;
    this.#rule = rule;
  }

  query(): number[] {
    const { heads, headDim } = this.#rule;
    return this.#row(heads * headDim, 3);
  }

  /** A row, or one whose score with a query is where things change. */
  key(queries: readonly (readonly number[])[]): number[] {
    const { heads, kvHeads, headDim, scale } = this.#rule;
    const random = this.#random;
    if (this.#profile === "ordinary" || random.below(3) > 0 || queries.length === 0) {
      return this.#row(kvHeads * headDim, 3);
    }
    const q = random.pick(queries), score = random.pick(SCORES) + random.normal();
    return Array.from({ length: kvHeads }, (_, group) => {
      const head = q.slice(group * heads / kvHeads * headDim).slice(0, headDim);
      const square = head.reduce((sum, x) => sum + x * x, 0);
      return head.map((x) => toFloat32(score * x / square / scale));
    }).flat();
  }

  value(): number[] {
    const { kvHeads, valueDim } = this.#rule;
    return this.#row(kvHeads * valueDim, 6);
  }

  /** Any step but a peek. */
  step(
    queries: readonly (readonly number[])[],
    others: readonly BackendName[],
    mostlyInserts: boolean,
  ): Step {
    const random = this.#random, dice = random.below(mostlyInserts ? 300 : 100);
    const at = random.below(1000);
    if (dice < 22) return { kind: "setKey", at, row: this.key(queries) };
    if (dice < 34) {
      return { kind: "addToKey", at, column: random.below(100), delta: this.#number(this.#size(3)) };
    }
    if (dice < 46) return { kind: "setValue", at, row: this.value() };
    if (dice < 52) {
      return { kind: "addToValue", at, column: random.below(100), delta: this.#number(this.#size(6)) };
    }
    if (dice < 68) return { kind: "delete", at };
    if (dice < 71) return { kind: "setQuery", at, row: this.query() };
    if (dice < 73) return { kind: "insertQuery", row: this.query() };
    if (dice < 74) return { kind: "deleteQuery", at };
    if (dice < 82) return { kind: "read", rows: random.pick([0, 1, 2]) };
    if (dice < 84) return { kind: "flush" };
    if (dice < 85) return { kind: "rebuild" };
    if (dice < 86) return { kind: "reload" };
    if (dice < 87 && others.length > 0) return { kind: "move", backend: random.pick(others) };
    return { kind: "insert", key: this.key(queries), value: this.value() };
  }

  /** A number of the profile, alone. */
  number(): number {
    return this.#number(this.#size(3));
  }

  /** Numbers of one size, up to 10^±range; in wild rows each has its own. */
  #row(length: number, range: number): number[] {
    const size = this.#size(range), isUneven = this.#profile === "wild" && this.#random.below(2) === 0;
    return Array.from({ length }, () => this.#number(isUneven ? this.#size(range) : size));
  }

  #size(range: number): number {
    const random = this.#random;
    if (this.#profile === "ordinary") return random.pick([0.01, 0.1, 1, 1]);
    if (this.#profile === "mixed" || random.below(2) === 0) return 10 ** (range * (2 * random.next() - 1));
    return 10 ** (76 * random.next() - 38);
  }

  #number(size: number): number {
    const random = this.#random;
    if (this.#profile === "wild" && random.below(8) === 0) return random.pick(SPECIAL);
    if (this.#profile === "mixed" && random.below(20) === 0) return 0;
    return toFloat32(size * random.normal());
  }
}

/** The nearest float32, the largest one where it would be infinite or no number. */
export function toFloat32(x: number): number {
  const rounded = Math.fround(x);
  if (Number.isNaN(rounded)) return 0;
  return Math.max(-3.4028234663852886e38, Math.min(3.4028234663852886e38, rounded));
}
