/**
 * From the derivative by a row to its step. What an optimizer remembers, it remembers for each row.
 */

import { describe, InputError } from "../errors.ts";
import { checkNames } from "../options.ts";

/** How rows are stepped; write one of your own by giving these. */
export interface Optimizer {
  /** What a snapshot calls it, its constants included. */
  readonly name: string;
  /** How many numbers it keeps for a row of `width`; they start at 0. */
  stateLength(width: number): number;
  /**
   * Writes what is to be added to a row to `step`, and to `state` what is to be kept.
   *
   * @param gradient ∂L/∂row.
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

/** What every optimizer here can be told. */
export interface OptimizerOptions {
  /** λ: a row also shrinks by rate · λ of itself at each of its steps; 0 unless given. */
  readonly weightDecay?: number;
  /** A longer derivative is shortened to this Euclidean length, row by row; Infinity unless given. */
  readonly clip?: number;
}

/** What {@link adagrad} can be told. */
export interface AdagradOptions extends OptimizerOptions {
  /** Keeps the divisor above 0; 1e-8 unless given. */
  readonly epsilon?: number;
}

/** What {@link adam} can be told. */
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
 * row −= rate · g / (√G + ε) with G = Σ g² over the row's steps: numbers that seldom change take larger steps.
 *
 * Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 12, 2011.
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  checkNames("adagrad", options, [...SHARED, "epsilon"]);
  const { epsilon = 1e-8 } = options;
  return withDecayAndClip("adagrad", options, { epsilon }, {
    stateLength: (width) => width,
    step(g, state, rate, step) {
      for (let c = 0; c < g.length; c++) {
        state[c] += g[c] * g[c];
        step[c] = g[c] === 0 ? 0 : -rate * g[c] / (Math.sqrt(state[c]) + epsilon);
      }
    },
  });
}

/**
 * row −= rate · m̂ / (√v̂ + ε), with means m of g and v of g² that forget, corrected for their start at 0. Steps are
 * counted for each row, so a row that is seldom stepped is no further than it is.
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
  return withDecayAndClip("adam", options, { epsilon, beta1, beta2 }, {
    // m, v, and how many steps the row has made.
    stateLength: (width) => 2 * width + 1,
    step(g, state, rate, step) {
      const width = g.length;
      const steps = ++state[2 * width];
      const ofMean = 1 - beta1 ** steps, ofSquare = 1 - beta2 ** steps;
      for (let c = 0; c < width; c++) {
        const m = state[c] = beta1 * state[c] + (1 - beta1) * g[c];
        const v = state[width + c] = beta2 * state[width + c] + (1 - beta2) * g[c] * g[c];
        step[c] = -rate * (m / ofMean) / (Math.sqrt(v / ofSquare) + epsilon);
      }
    },
  });
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
      const length = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
      const used = length > clip ? gradient.map((g) => g * (clip / length)) : gradient;
      plain.step(used, state, rate, step);
      if (weightDecay === 0) return;
      for (let c = 0; c < step.length; c++) step[c] -= rate * weightDecay * row[c];
    },
  };
}
