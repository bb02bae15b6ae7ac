// Looks for a program that breaks a promise: at random, and by climbing from those that came nearest.

import type { BackendName } from "../../mod.ts";
import { Random } from "../random.ts";
import type { BoundProgram } from "./program.ts";
import { drawProgram, type ProfileName } from "./profiles.ts";
import {
  ANSWER_KINDS,
  type AnswerKind,
  type Nearest,
  runProgram,
  type Sighting,
  type Violation,
} from "./run_program.ts";
import { varyProgram } from "./vary_program.ts";

/** Where to look, and how long. */
export interface SearchOptions {
  readonly backend: BackendName;
  /** Backends that engines may move to. */
  readonly others: readonly BackendName[];
  readonly profile: ProfileName;
  readonly seed: number;
  readonly edits: number;
}

/** What was found. */
export interface SearchResult {
  readonly programs: number;
  readonly edits: number;
  readonly rows: number;
  readonly nearest: Nearest;
  /** The programs that broke a promise, with the first that they broke; at most ten of a kind. */
  readonly broken: readonly { readonly program: BoundProgram; readonly violation: Violation }[];
  /** How often each promise was broken. */
  readonly counts: Readonly<Partial<Record<Violation["promise"], number>>>;
  /** Bound over distance in the median of drawn programs. */
  readonly looseness: Readonly<Record<AnswerKind, number>>;
}

/** Programs that are drawn before a climb begins, and how many steps it has. */
const DRAWN = 60, CLIMB = 60;
/** Programs of a kind that are kept. */
const MOST_BROKEN = 10;
/** Ratios that the medians are of. */
const MOST_RATIOS = 100_000;

/** What a climb wants more of. */
const AIMS: readonly ((nearest: Nearest) => number)[] = [
  ({ bound }) => bound,
  ({ slack }) => -slack,
  ({ accuracy }) => accuracy,
];

/** Searches until so many edits were made. */
export async function searchBounds(options: SearchOptions): Promise<SearchResult> {
  const random = new Random(options.seed);
  const tally = new Tally();
  for (let round = 0; tally.edits < options.edits; round++) {
    const aim = AIMS[round % AIMS.length];
    let best: BoundProgram | null = null, height = -Infinity;
    const consider = async (program: BoundProgram, isDrawn: boolean) => {
      const sighting = await runProgram(program);
      tally.add(program, sighting, isDrawn);
      if (!(aim(sighting.nearest) >= height)) return;
      [best, height] = [program, aim(sighting.nearest)];
    };
    for (let drawn = 0; drawn < DRAWN && tally.edits < options.edits; drawn++) {
      await consider(drawProgram(random, options.profile, options.backend, options.others), true);
    }
    for (let step = 0; step < CLIMB && tally.edits < options.edits; step++) {
      await consider(varyProgram(best!, random, options.profile), false);
    }
  }
  return tally.result();
}

/** Adds up what programs showed. */
class Tally {
  edits = 0;
  #programs = 0;
  #rows = 0;
  #nearest: Nearest = { bound: 0, slack: Infinity, accuracy: 0 };
  readonly #broken: { program: BoundProgram; violation: Violation }[] = [];
  readonly #counts: Partial<Record<Violation["promise"], number>> = {};
  readonly #ratios: Record<AnswerKind, number[]> = { pending: [], settled: [], limited: [], followed: [] };

  add(
    program: BoundProgram,
    { edits, rows, nearest, violations, looseness }: Sighting,
    isDrawn: boolean,
  ): void {
    // A program without an edit takes its time, too.
    this.edits += Math.max(1, edits);
    this.#programs++;
    this.#rows += rows;
    this.#nearest = {
      bound: Math.max(this.#nearest.bound, nearest.bound),
      slack: Math.min(this.#nearest.slack, nearest.slack),
      accuracy: Math.max(this.#nearest.accuracy, nearest.accuracy),
    };
    for (const kind of ANSWER_KINDS) {
      // A climb goes to where they are tight.
      if (isDrawn && this.#ratios[kind].length < MOST_RATIOS) this.#ratios[kind].push(...looseness[kind]);
    }
    const seen = new Set<Violation["promise"]>();
    for (const violation of violations) {
      const { promise } = violation;
      const count = this.#counts[promise] = (this.#counts[promise] ?? 0) + 1;
      if (!seen.has(promise) && count <= MOST_BROKEN) this.#broken.push({ program, violation });
      seen.add(promise);
    }
  }

  result(): SearchResult {
    return {
      programs: this.#programs,
      edits: this.edits,
      rows: this.#rows,
      nearest: this.#nearest,
      broken: this.#broken,
      counts: this.#counts,
      looseness: {
        pending: median(this.#ratios.pending),
        settled: median(this.#ratios.settled),
        limited: median(this.#ratios.limited),
        followed: median(this.#ratios.followed),
      },
    };
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}
