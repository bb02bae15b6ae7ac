/**
 * What computing the weights and the sums of head rows may have done to them: of a row that the host has
 * taken, of one that a kernel has, and of any row at all.
 */

import { keyHeadOf } from "../../numerics/head_layout.ts";
import { hasBias, sinkOf } from "../../numerics/score_rule.ts";
import type { BackendConfig } from "../backend.ts";
import { NOTHING, type Since } from "../since.ts";
import type { TakenRow } from "./certificate_kernel.ts";
import type { HeadRows } from "./head_rows.ts";
import type { HostRows } from "./host_rows.ts";
import { NO_WEIGHT_ROUNDING, type RoundedRow, type WeightRounding } from "./weight_rounding.ts";
import type { KeysAt } from "./keys_at.ts";
import type { RowTotals } from "./row_totals.ts";
import { ScoreDoubt } from "./score_doubt.ts";
import { roundingBy, scoreExponent, type ScoreKind, scoreRounding } from "./score_rounding.ts";
import type { StateStore } from "./state_store.ts";
import type { ValueSpread } from "./value_spread.ts";

const DOUBLE_ROUNDING = 2 ** -50;
/**
 * Rounding a number to float32, and what rounding to float64 did to it before: as a share, and where it is
 * subnormal.
 */
const FLOAT32_STEP = 3 * 2 ** -24, SMALLEST_STEP = 2 ** -149;

/** Biases that are no larger, or no larger than products by more, take little of a bound that all rows share. */
const USUAL_BIAS = 64;

/** What the answers of one backend are made of. */
export interface RowParts {
  readonly config: BackendConfig;
  readonly rows: HostRows;
  readonly store: StateStore;
  readonly heads: HeadRows;
  readonly spread: ValueSpread;
}

/** Rounding of the rows of one backend. */
export class RowRounding {
  /** Looks at the keys of rows whose scores float64 may not have the digits of. */
  readonly doubt: ScoreDoubt;
  readonly #config: BackendConfig;
  readonly #rows: HostRows;
  readonly #store: StateStore;
  readonly #heads: HeadRows;
  readonly #spread: ValueSpread;
  readonly #kind: ScoreKind;
  /** By head, what the rounding of a row depends on besides its query. */
  readonly #kinds: { readonly norm: number; readonly keyCount: number }[] = [];

  constructor({ config, rows, store, heads, spread }: RowParts) {
    this.#kind = { rule: config.rule, headDim: config.layout.headDim, maskHeads: config.maskHeads };
    this.doubt = new ScoreDoubt(heads.kernels, this.#kind);
    this.#config = config;
    this.#rows = rows;
    this.#store = store;
    this.#heads = heads;
    this.#spread = spread;
  }

  /** What computing the weights of a row may have done to it. */
  of(slot: number, head: number, totals: RowTotals, keys: KeysAt): WeightRounding {
    const { limits } = this.#store;
    if (limits === null || this.#heads.isExact) return this.inFloat64(slot, head, totals, keys);
    return limits.rounding(this.#roundedRow(slot, head, totals, keys));
  }

  /** Bounds on the rounding of the weights of a head row that is computed in float64. */
  inFloat64(slot: number, head: number, totals: RowTotals, keys: KeysAt): WeightRounding {
    const row = this.#roundedRow(slot, head, totals, keys);
    const rounding = scoreRounding(row, this.#kind, sinkOf(this.#config.rule, head));
    if (rounding.variation < 1) return rounding;
    this.#heads.select(slot, head);
    const error = this.doubt.largestError(head, keys);
    const now = keys.areStored ? error : this.doubt.largestError(head, this.#rows.keysAt(NOTHING));
    return { ...roundingBy(Math.max(error, now), 2 * row.keyCount), isDoubtful: true };
  }

  #roundedRow(slot: number, head: number, totals: RowTotals, keys: KeysAt): RoundedRow {
    const norm = this.#rows.queryNorm(this.#rows.queryHead(slot, head));
    return {
      logSumExp: totals.logSumExp(),
      largestProduct: this.#heads.reach.largestScore(norm, keyHeadOf(this.#config.layout, head)),
      keyCount: this.#rows.stored.count + keys.since.slots.length,
    };
  }

  /** Another one where `ofKernel` may be another for a query that stays; null where that depends on its state. */
  kindOf(head: number, keys: KeysAt): unknown {
    if (this.#config.maskHeads > 0) return null;
    const norm = this.#heads.reach.norms[keyHeadOf(this.#config.layout, head)],
      keyCount = this.#roomFor(keys);
    const known = this.#kinds[head];
    if (known && known.norm === norm && known.keyCount === keyCount) return known;
    return this.#kinds[head] = { norm, keyCount };
  }

  /** At least the number of keys of a state, a power of two. */
  #roomFor({ since }: KeysAt): number {
    return 2 ** (32 - Math.clz32(this.#rows.stored.count + since.slots.length));
  }

  /** What computing the weights of a row may have done to it, which a kernel has taken. */
  ofKernel({ reach, logSumExp }: TakenRow, head: number, keys: KeysAt): WeightRounding {
    const { limits } = this.#store;
    if (limits === null) return NO_WEIGHT_ROUNDING;
    return limits.rounding({
      logSumExp,
      largestProduct: reach * this.#heads.reach.norms[keyHeadOf(this.#config.layout, head)],
      keyCount: this.#roomFor(keys),
    });
  }

  /**
   * What rounding did to any answer at most; Infinity where scores have biases besides those of a mask, which have
   * no bound that is known here, and where those of a mask are so large that they count for most of it: they forbid
   * pairs, as −10⁹ does, so that certificates are far tighter.
   */
  common(since: Since): number {
    const { layout, layout: { kvHeads, valueDim }, rule, maskHeads } = this.#config,
      { limits, tolerance } = this.#store;
    if (hasBias(rule, 0)) return Infinity;
    const largestBias = maskHeads > 0 ? this.#heads.reach.largestBias : 0;
    const keyCount = this.#rows.stored.count + since.slots.length;
    let largest = 0;
    for (let keyHead = 0; keyHead < kvHeads; keyHead++) {
      let norm = 0;
      for (let head = 0; head < layout.heads; head++) {
        if (keyHeadOf(layout, head) === keyHead) norm = Math.max(norm, this.#heads.norms.largest(head));
      }
      const largestProduct = this.#heads.reach.largestScore(norm, keyHead);
      if (largestBias > largestProduct + USUAL_BIAS) return Infinity;
      const rounding = limits === null
        ? roundingBy(
          scoreExponent(this.#kind, largestProduct, largestProduct + largestBias + USUAL_BIAS),
          keyCount,
        )
        : limits.rounding({ logSumExp: Infinity, largestProduct, keyCount, largestBias });
      const diameter = 2 * this.#spread.radius(keyHead), size = this.#spread.largestNorm(keyHead);
      const sums = 2 * tolerance * (Math.sqrt(valueDim) * this.#heads.reach.magnitudes[keyHead] + size);
      // Rows that float32 does not suffice for are computed in float64, where a large bias takes digits of their scores.
      const variation = rounding.variation + DOUBLE_ROUNDING * largestBias;
      const bound = variation * diameter + sums + FLOAT32_STEP * size +
        SMALLEST_STEP * Math.sqrt(valueDim);
      largest = Math.max(largest, bound);
    }
    return largest >= 0 ? largest : Infinity;
  }
}
