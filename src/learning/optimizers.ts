/**
 * Optimizers: rules that turn the derivative by a row into a step of the row, with a state for each row.
 *
 * States hold the roots of sums and means of squares, since squares of derivatives above 10¹⁵⁴ or below
 * 10⁻¹⁶² leave the range of float64.
 */

import { describe, InputError } from "../base/errors.ts";
import { isCount } from "../base/matrix.ts";
import { takeOptions } from "../base/names.ts";
import { callGiven } from "./callbacks.ts";
import { hypot, shortened } from "./lengths.ts";

/** An optimizer; an object with these members is one. */
export interface Optimizer {
  /** The name in snapshots, including the optimizer's constants. */
  readonly name: string;
  /** The number of state numbers for a row of `width` numbers; they start at 0. */
  stateLength(width: number): number;
  /**
   * Writes the step of a row to `step`, which is then added to the row, and the new state to `state`. All
   * arrays are copies. A step with a number that is not finite is refused, and the row and its state stay as
   * they were.
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
  /** λ: each step also multiplies the row by 1 − rate · λ; 0 unless given. */
  readonly weightDecay?: number;
  /**
   * The largest Euclidean length of a row's derivative, to which longer ones are shortened; Infinity unless
   * given.
   */
  readonly clip?: number;
}

/** Options of {@link adagrad}. */
export interface AdagradOptions extends OptimizerOptions {
  /** ε, which keeps the divisor above 0; 1e-8 unless given. */
  readonly epsilon?: number;
}

/** Options of {@link adam}. */
export interface AdamOptions extends AdagradOptions {
  /** The decay of the mean per step; 0.9 unless given. */
  readonly beta1?: number;
  /** The decay of the mean square per step; 0.999 unless given. */
  readonly beta2?: number;
}

/** Options of {@link sgd}. */
export interface SgdOptions extends OptimizerOptions {
  /** μ, the share of the velocity that stays at a step, from 0 to below 1; 0 unless given. */
  readonly momentum?: number;
  /** Whether the step looks ahead by the velocity; not unless given. */
  readonly nesterov?: boolean;
}

/**
 * Stochastic gradient descent: row −= rate · g. With momentum, v = μ v + g and row −= rate · v; with
 * Nesterov's, row −= rate · (g + μ v). Velocities are kept per row, and only the steps of that row count;
 * without momentum nothing is kept.
 *
 * @throws {InputError} When an option is unknown or out of range, or `nesterov` is set without momentum.
 *
 * @example
 * ```ts
 * import { sgd } from "@attune/attention/learning";
 * import { assertEquals } from "@std/assert";
 *
 * const { step, stateLength } = sgd({ momentum: 0.5 });
 * const state = new Float64Array(stateLength(1)), delta = new Float64Array(1);
 * for (let turn = 0; turn < 3; turn++) step(Float64Array.of(1), [0], state, 0.1, delta);
 * assertEquals(delta[0], -0.1 * 1.75);
 * ```
 *
 * Source: Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep
 * learning", ICML 2013, in the form that PyTorch and River share.
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  const given = takeOptions("sgd", options, [...SHARED, "momentum", "nesterov"]);
  const { momentum = 0, nesterov = false } = given;
  if (!(typeof momentum === "number" && momentum >= 0 && momentum < 1)) {
    throw new InputError("sgd", `momentum is ${describe(momentum)}`, "a number ≥ 0 and below 1");
  }
  if (typeof nesterov !== "boolean" || (nesterov && momentum === 0)) {
    throw new InputError(
      "sgd",
      `nesterov is ${describe(nesterov)}`,
      "true beside a momentum above 0, or false",
    );
  }
  if (momentum === 0) {
    return withDecayAndClip("sgd", given, {}, {
      stateLength: () => 0,
      step(g, _, rate, step) {
        for (let c = 0; c < g.length; c++) step[c] = -rate * g[c];
      },
    });
  }
  return withDecayAndClip("sgd", given, { momentum, nesterov: Number(nesterov) }, {
    stateLength: (width) => width,
    step(g, velocity, rate, step) {
      for (let c = 0; c < g.length; c++) {
        const v = velocity[c] = momentum * velocity[c] + g[c];
        step[c] = -rate * (nesterov ? g[c] + momentum * v : v);
      }
    },
  });
}

/**
 * row −= rate · g / (√G + ε) with G = Σ g² over the row's steps, so that numbers with few or small
 * derivatives take larger steps.
 *
 * Source: Duchi, Hazan, Singer, "Adaptive Subgradient Methods", JMLR 12, 2011.
 *
 * @example
 * ```ts
 * import { adagrad } from "@attune/attention/learning";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const { step, stateLength } = adagrad(); // usually: new OnlineLearner(live, { optimizer: adagrad() })
 * const state = new Float64Array(stateLength(1)), delta = new Float64Array(1);
 * step(Float64Array.of(3), [0], state, 0.1, delta);
 * assertAlmostEquals(delta[0], -0.1, 1e-6); // the first step is as long as the rate
 * step(Float64Array.of(4), [0], state, 0.1, delta);
 * assertAlmostEquals(delta[0], -0.1 * 4 / 5, 1e-6); // √(3² + 4²) = 5
 * ```
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  const given = takeOptions("adagrad", options, [...SHARED, "epsilon"]);
  const { epsilon = 1e-8 } = given;
  return withDecayAndClip("adagrad", given, { epsilon }, {
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
 * row −= rate · m̂ / (√v̂ + ε), with exponential means m of g and v of g², corrected for their start at 0.
 * Steps are counted for each row, so that the correction of a row depends on its own steps.
 *
 * Source: Kingma, Ba, "Adam", arXiv 1412.6980, algorithm 1.
 *
 * @example
 * ```ts
 * import { adam } from "@attune/attention/learning";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const { step, stateLength } = adam(); // usually: new OnlineLearner(live, { optimizer: adam(), rate: 0.001 })
 * const state = new Float64Array(stateLength(2)), delta = new Float64Array(2);
 * step(Float64Array.of(1000, -0.001), [0, 0], state, 0.1, delta);
 * assertAlmostEquals(delta[0], -0.1, 1e-6); // the size of a derivative does not matter, its sign does
 * assertAlmostEquals(delta[1], 0.1, 1e-4);
 * ```
 */
export function adam(options: AdamOptions = {}): Optimizer {
  const given = takeOptions("adam", options, [...SHARED, "epsilon", "beta1", "beta2"]);
  const { epsilon = 1e-8, beta1 = 0.9, beta2 = 0.999 } = given;
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    if (typeof beta === "number" && beta >= 0 && beta < 1) continue;
    throw new InputError("adam", `${name} is ${describe(beta)}`, "a number ≥ 0 and below 1");
  }
  const rootOfBeta2 = Math.sqrt(beta2), rootOfRest = Math.sqrt(1 - beta2);
  return withDecayAndClip("adam", given, { epsilon, beta1, beta2 }, {
    // The state is m, √v and the number of the row's steps.
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

/** Checks the length of an optimizer's state for a row of `width` numbers. */
export function stateLengthOf(operation: string, optimizer: Optimizer, width: number): number {
  const name = `stateLength(${width}) of optimizer ${optimizer.name}`, expected = "an integer ≥ 0";
  const length = callGiven(operation, () => name, expected, () => optimizer.stateLength(width));
  if (isCount(length)) return length;
  throw new InputError(operation, `${name} is ${describe(length)}`, expected);
}

const SHARED = ["weightDecay", "clip"] as const;

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
