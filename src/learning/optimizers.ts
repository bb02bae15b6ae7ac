/**
 * From the derivative by a row to its step. An optimizer keeps a state of its own for each row.
 *
 * Where formulas have sums or means of squares, the states hold their roots: a square leaves float64 for
 * derivatives above 10¹⁵⁴ or below 10⁻¹⁶², a root does not.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount } from "../base/matrix.ts";
import { checkNames } from "../engine/options.ts";
import { callGiven } from "./callbacks.ts";
import { hypot, shortened } from "./lengths.ts";

/** A rule by which rows are stepped; write one of your own by giving these. */
export interface Optimizer {
  /** Its name in snapshots, its constants included. */
  readonly name: string;
  /** How many numbers it keeps for a row of `width`; they start at 0. */
  stateLength(width: number): number;
  /**
   * Writes to `step` what is to be added to a row, and to `state` what is to be kept. All arrays are copies.
   * A step that writes a number that is not finite is refused, and the row and its state stay as they were.
   *
   * @param gradient ∂L/∂row, finite numbers.
   * @param row The row as it is.
   * @param rate The learning rate of this step.
   */
  step(
    gradient: Float64Array,
    row: ArrayLike<number>,
    state: Float64Array,
    rate: number,
    step: Float64Array,
  ): void;
}

/** Options of every optimizer. */
export interface OptimizerOptions {
  /** λ: a row also shrinks by rate · λ of itself at each of its steps; 0 unless given. */
  readonly weightDecay?: number;
  /** A longer derivative is shortened to this Euclidean length, row by row; Infinity unless given. */
  readonly clip?: number;
}

/** Options of {@link adagrad}. */
export interface AdagradOptions extends OptimizerOptions {
  /** Keeps the divisor above 0; 1e-8 unless given. */
  readonly epsilon?: number;
}

/** Options of {@link adam}. */
export interface AdamOptions extends AdagradOptions {
  /** Share of the mean that stays at a step; 0.9 unless given. */
  readonly beta1?: number;
  /** Share of the mean square that stays at a step; 0.999 unless given. */
  readonly beta2?: number;
}

/** Stochastic gradient descent: row −= rate · g. Keeps nothing. */
export function sgd(options: OptimizerOptions = {}): Optimizer {
  checkNames("sgd", options, SHARED);
  return withDecayAndClip("sgd", options, {}, {
    stateLength: () => 0,
    step(g, _, rate, step) {
      for (let c = 0; c < g.length; c++) step[c] = -rate * g[c];
    },
  });
}

/**
 * row −= rate · g / (√G + ε) with G = Σ g² over the row's steps: numbers that seldom change take larger
 * steps.
 *
 * Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 12, 2011.
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  checkNames("adagrad", options, [...SHARED, "epsilon"]);
  const { epsilon = 1e-8 } = options;
  return withDecayAndClip("adagrad", options, { epsilon }, {
    stateLength: (width) => width,
    // √G.
    step(g, state, rate, step) {
      for (let c = 0; c < g.length; c++) {
        state[c] = hypot(state[c], g[c]);
        step[c] = g[c] === 0 ? 0 : -rate * (g[c] / (state[c] + epsilon));
      }
    },
  });
}

/**
 * row −= rate · m̂ / (√v̂ + ε), with means m of g and v of g² that forget, corrected for their start at 0.
 * Steps are counted for each row, so a row that is seldom stepped is no further than it is.
 *
 * Source: Kingma, Ba, "Adam", arXiv 1412.6980, algorithm 1.
 */
export function adam(options: AdamOptions = {}): Optimizer {
  checkNames("adam", options, [...SHARED, "epsilon", "beta1", "beta2"]);
  const { epsilon = 1e-8, beta1 = 0.9, beta2 = 0.999 } = options;
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    if (typeof beta === "number" && beta >= 0 && beta < 1) continue;
    throw new InputError("adam", `${name} is ${describe(beta)}`, "a number ≥ 0 and below 1");
  }
  const rootOfBeta2 = Math.sqrt(beta2), rootOfRest = Math.sqrt(1 - beta2);
  return withDecayAndClip("adam", options, { epsilon, beta1, beta2 }, {
    // m, √v, and how many steps the row has made.
    stateLength: (width) => 2 * width + 1,
    step(g, state, rate, step) {
      const width = g.length;
      const steps = ++state[2 * width];
      const ofMean = 1 - beta1 ** steps, ofRoot = Math.sqrt(1 - beta2 ** steps);
      for (let c = 0; c < width; c++) {
        const m = state[c] = beta1 * state[c] + (1 - beta1) * g[c];
        const root = state[width + c] = hypot(rootOfBeta2 * state[width + c], rootOfRest * g[c]);
        step[c] = -rate * ((m / ofMean) / (root / ofRoot + epsilon));
      }
    },
  });
}

/** How many numbers an optimizer keeps for a row of `width`, checked. */
export function stateLengthOf(operation: string, optimizer: Optimizer, width: number): number {
  const name = `stateLength(${width}) of optimizer ${optimizer.name}`, expected = "an integer ≥ 0";
  const length = callGiven(operation, () => name, expected, () => optimizer.stateLength(width));
  if (isCount(length)) return length;
  throw new InputError(operation, `${name} is ${describe(length)}`, expected);
}

const SHARED = ["weightDecay", "clip"];

interface PlainOptimizer {
  stateLength(width: number): number;
  step(gradient: Float64Array, state: Float64Array, rate: number, step: Float64Array): void;
}

function withDecayAndClip(
  kind: string,
  { weightDecay = 0, clip = Infinity }: OptimizerOptions,
  constants: Readonly<Record<string, number>>,
  plain: PlainOptimizer,
): Optimizer {
  if (!(typeof weightDecay === "number" && weightDecay >= 0 && weightDecay < Infinity)) {
    throw new InputError(kind, `weightDecay is ${describe(weightDecay)}`, "a finite number ≥ 0");
  }
  if (!(typeof clip === "number" && clip > 0)) {
    throw new InputError(kind, `clip is ${describe(clip)}`, "a number above 0");
  }
  if ("epsilon" in constants && !(constants.epsilon > 0 && constants.epsilon < Infinity)) {
    throw new InputError(kind, `epsilon is ${describe(constants.epsilon)}`, "a finite number above 0");
  }
  const all = Object.entries({ ...constants, weightDecay, clip });
  return {
    name: `${kind}(${all.map(([name, value]) => `${name} ${value}`).join(", ")})`,
    stateLength: plain.stateLength,
    step(gradient, row, state, rate, step) {
      plain.step(shortened(gradient, clip), state, rate, step);
      if (weightDecay === 0) return;
      for (let c = 0; c < step.length; c++) step[c] -= rate * weightDecay * row[c];
    },
  };
}
