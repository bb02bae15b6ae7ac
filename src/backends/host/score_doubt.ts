/**
 * Bounds of rows with scores so large that float64 may not have the digits which decide their weights: the scores are
 * computed again, each with a bound on its own error.
 *
 * With scores s_j that are off by at most e_j, a key whose s_j + e_j is more than 80 below the largest s_i − e_i has no
 * more than 2^−115 of the mass. The others may have any weights; so the exact answer is a mean of their values, and of 0
 * where a sink is among them, and no further from o than the farthest of these is.
 *
 * A softcap c passes on no more than 2c of what a product is off by, and nothing that counts where the product is
 * beyond 20·c for certain: there c·tanh is c to the last bit.
 */

import { isBiasCapped, sinkOf } from "../../numerics/score_rule.ts";
import type { Kernels } from "./kernels.ts";
import type { KeysAt } from "./keys_at.ts";
import { NOTICED_DEPTH, productRoundings, scoreExponent, type ScoreKind } from "./score_rounding.ts";

const FLOAT64_ROUNDING = 2 ** -53;
/** Covers the rounding of the bounds themselves. */
const SLACK = 2 ** -30;

/** Looks at the keys of rows one by one. */
export class ScoreDoubt {
  readonly #kernels: Kernels;
  readonly #kind: ScoreKind;
  #scores = new Float64Array(0);
  #errors = new Float64Array(0);

  /** Rows are those that the kernels have selected. */
  constructor(kernels: Kernels, kind: ScoreKind) {
    this.#kernels = kernels;
    this.#kind = kind;
  }

  get bytes(): number {
    return this.#scores.byteLength + this.#errors.byteLength;
  }

  /** The largest error of the scores that may have weight in a head row over some keys. O(n·d). */
  largestError(head: number, keys: KeysAt): number {
    const { floor, sinkError } = this.#take(head, keys), scores = this.#scores, errors = this.#errors;
    let largest = sinkError;
    for (let slot = 0; slot < keys.stored.count; slot++) {
      if (scores[slot] + errors[slot] >= floor) largest = Math.max(largest, errors[slot]);
    }
    return largest;
  }

  /** How far the values that may have weight in a head row over some keys are from `output` at most. O(n·(d + dv)). */
  farthest(output: Float64Array, head: number, keys: KeysAt): number {
    const { floor, sinkError } = this.#take(head, keys), scores = this.#scores, errors = this.#errors;
    // A row without keys is 0.
    let farthest = floor === -Infinity || sinkError > 0 ? Math.hypot(...output) : 0;
    for (let slot = 0; slot < keys.stored.count; slot++) {
      const place = scores[slot] + errors[slot] >= floor ? keys.find(slot) : null;
      if (!place) continue;
      farthest = Math.max(farthest, this.#kernels.distanceToValue(output, place.block, place.row));
    }
    return farthest;
  }

  /**
   * How far rounding of scores may have taken `output` at most, the mean with the weights that were computed: weights
   * p_j are off by no more than p_j (exp(e_j + E) − 1) with E = ln Σ p_j exp e_j. No more than `farthest`. O(n·(d + dv)).
   */
  moved(output: Float64Array, head: number, keys: KeysAt): number {
    const farthest = this.farthest(output, head, keys), sink = sinkOf(this.#kind.rule, head);
    const scores = this.#scores, errors = this.#errors, { count } = keys.stored;
    let top = sink;
    for (let slot = 0; slot < count; slot++) top = Math.max(top, scores[slot]);
    if (top === -Infinity) return farthest;
    const ofSink = Math.exp(sink - top), sinkGrowth = Math.exp(sinkErrorOf(this.#kind, sink));
    let mass = ofSink, grown = ofSink * sinkGrowth;
    for (let slot = 0; slot < count; slot++) {
      const weight = Math.exp(scores[slot] - top);
      mass += weight;
      if (weight > 0) grown += weight * Math.exp(errors[slot]);
    }
    const growth = grown / mass;
    let moved = ofSink > 0 ? ofSink * (growth * sinkGrowth - 1) * Math.hypot(...output) : 0;
    for (let slot = 0; slot < count; slot++) {
      const weight = Math.exp(scores[slot] - top), place = weight > 0 ? keys.find(slot) : null;
      if (!place) continue;
      const distance = this.#kernels.distanceToValue(output, place.block, place.row);
      if (distance > 0) moved += weight * (growth * Math.exp(errors[slot]) - 1) * distance;
    }
    moved = moved / mass * (1 + SLACK);
    return moved < farthest ? moved : farthest;
  }

  /**
   * Computes the scores of keys and what they may be off by, −∞ and 0 where there is no key; the least that a score which may
   * have weight can be, and the error of a sink that may have some, or 0.
   */
  #take(head: number, keys: KeysAt): { readonly floor: number; readonly sinkError: number } {
    const { count } = keys.stored, kernels = this.#kernels, sink = sinkOf(this.#kind.rule, head);
    if (this.#scores.length < count) {
      this.#scores = new Float64Array(2 * count);
      this.#errors = new Float64Array(2 * count);
    }
    const ofSink = sinkErrorOf(this.#kind, sink);
    let least = sink - ofSink;
    for (let slot = 0; slot < count; slot++) {
      const place = keys.find(slot);
      const score = place === null ? -Infinity : kernels.scoreWithBias(place.block, place.row);
      this.#scores[slot] = score;
      this.#errors[slot] = 0;
      if (place === null || score === -Infinity) continue;
      const product = kernels.productOf(place.block, place.row);
      const error = this.#errors[slot] = this.#errorOf(product, kernels.termSize, Math.abs(score));
      least = Math.max(least, score - error);
    }
    const floor = least - NOTICED_DEPTH;
    return { floor, sinkError: sink + ofSink >= floor ? ofSink : 0 };
  }

  /** What a score of such a size may be off by, of a product whose terms have the size `termSize`. */
  #errorOf(product: number, termSize: number, size: number): number {
    const { headDim, rule } = this.#kind, { softcap } = rule;
    if (softcap === 0 || isBiasCapped(rule)) return scoreExponent(this.#kind, termSize, size);
    const ofProduct = productRoundings(headDim) * termSize;
    const isSaturated = Math.abs(product) - 2 * FLOAT64_ROUNDING * ofProduct > 20 * softcap;
    const passedOn = isSaturated ? softcap : Math.min(ofProduct, 2 * softcap / FLOAT64_ROUNDING);
    return scoreExponent(this.#kind, termSize, size, passedOn);
  }
}

function sinkErrorOf(kind: ScoreKind, sink: number): number {
  return sink > -Infinity ? scoreExponent(kind, 0, Math.abs(sink)) : 0;
}
