/**
 * Checked calls of a loss. Losses get copies of their arguments, and their results are checked before they
 * are used.
 */

import { describe, InputError } from "../base/errors.ts";
import { lengthOf, typedArrayKind } from "../base/lists.ts";
import { callCheck, callGiven } from "./callbacks.ts";
import type { Loss } from "./losses.ts";

/** The results of a loss for some scores and targets. */
export interface Judgement {
  /** K numbers. */
  readonly prediction: Float64Array<ArrayBuffer>;
  /** L, which may be infinite: it may be beyond float64 when its derivative is not. */
  readonly value: number;
  /** ∂L/∂score, K finite numbers. */
  readonly byScore: Float64Array<ArrayBuffer>;
}

/** Calls the loss's own check of targets for `scoreCount` scores. */
export function checkTargets(operation: string, loss: Loss, targets: Float64Array, scoreCount: number): void {
  const call = () => loss.check(operation, targets.slice(), scoreCount);
  callCheck(operation, `the check of loss ${loss.name}`, "targets that fit, or an InputError", call);
}

/** The prediction of a loss from scores. */
export function predictionOf(operation: string, loss: Loss, scores: Float64Array): Float64Array<ArrayBuffer> {
  const what = `the prediction of loss ${loss.name}`;
  return toNumbers(operation, what, scores.length, Number.isNaN, () => loss.predict(scores.slice()));
}

/**
 * Prediction, value and derivative.
 *
 * @throws {InputError} When a method of the loss throws or returns something else than numbers, or the
 * derivative is not finite.
 */
export function judge(operation: string, loss: Loss, scores: Float64Array, targets: Float64Array): Judgement {
  const { name } = loss;
  const prediction = predictionOf(operation, loss, scores);
  const what = `the loss ${name} of ${describe([...scores])}`;
  const value = callGiven(
    operation,
    () => what,
    "a number",
    () => loss.value(scores.slice(), targets.slice()),
  );
  if (typeof value !== "number" || Number.isNaN(value)) {
    throw new InputError(operation, `${what} is ${describe(value)}`, "a number");
  }
  const isNotFinite = (number: number) => !Number.isFinite(number);
  const byScore = toNumbers(operation, `the gradient of loss ${name}`, scores.length, isNotFinite, () => {
    return loss.gradient(scores.slice(), targets.slice());
  });
  return { prediction, value, byScore };
}

/** M with ‖∇L(a) − ∇L(b)‖ ≤ M·‖a − b‖; Infinity where the loss says none. */
export function smoothnessOf(operation: string, loss: Loss, scoreCount: number): number {
  if (loss.smoothness === undefined) return Infinity;
  const what = `the smoothness of loss ${loss.name}`, expected = "a number ≥ 0";
  const given = callGiven(operation, () => what, expected, () => loss.smoothness?.(scoreCount));
  if (typeof given === "number" && given >= 0) return given;
  throw new InputError(operation, `${what} is ${describe(given)}`, expected);
}

/** A copy of a loss's result: `count` numbers, none of which is `bad`. */
function toNumbers(
  operation: string,
  what: string,
  count: number,
  isBad: (number: number) => boolean,
  call: () => Float64Array,
): Float64Array<ArrayBuffer> {
  const expected = `a Float64Array of ${count} numbers, one for each score`;
  const given = callGiven(operation, () => what, expected, call);
  if (typedArrayKind(given) !== "Float64Array" || lengthOf(given) !== count) {
    throw new InputError(operation, `${what} is ${describe(given)}`, expected);
  }
  const numbers = Float64Array.from(given);
  const bad = numbers.findIndex(isBad);
  if (bad >= 0) {
    throw new InputError(operation, `${what} has ${numbers[bad]} at index ${bad}`, "finite numbers");
  }
  return numbers;
}
