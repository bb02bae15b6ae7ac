/**
 * What pages with live attention compute, without a page: two engines that get the same edits. One is only looked at, and
 * answers with a certificate; the other is read, and answers exactly.
 *
 * Invariant: at every look both engines have had the same edits. One look runs at a time. What is counted and timed is edits
 * and their answers alone, neither creating an engine nor what only the drawing asks for.
 */

import { DynamicAttention } from "../../../engine/dynamic_attention.ts";
import type { FollowedAttention } from "../../../engine/followed_attention.ts";
import type { DynamicAttentionOptions } from "../../../engine/options.ts";
import type { Edit } from "../../../write/edits.ts";

type BackendName = NonNullable<DynamicAttentionOptions["backend"]>;

/** One number for stale answers, one for exact ones, and one for recomputing everything once for each answer. */
export type Three = readonly [stale: number, exact: number, scratch: number];

/** What edits and their answers have cost. */
export interface Costs {
  /** Edits of the last look that had any, and of all. */
  readonly lastEdits: number;
  readonly edits: number;
  /** Products of the same: multiply-adds. */
  readonly last: Three;
  readonly total: Three;
  /**
   * Milliseconds of a look, its edits included: medians over the last looks that had edits, and of the last computations from
   * scratch the fastest, so that a doubt is in favour of those; 0 before there was an edit.
   */
  readonly ms: Three;
}

/** Before any edit. */
export const NO_COSTS: Costs = { lastEdits: 0, edits: 0, last: [0, 0, 0], total: [0, 0, 0], ms: [0, 0, 0] };

/** What a pair is made of. */
export interface PairOptions {
  /** The exact engine. */
  readonly exact: DynamicAttentionOptions;
  /** What is different about the one that is only looked at. */
  readonly stale: Partial<DynamicAttentionOptions>;
  /** Edits that the exact engine has had and the stale one has still to get; none unless given. */
  readonly missed?: readonly Edit[];
  /** Products of one query over one key, all heads: H·(d + dv). */
  readonly productsPerPair: number;
  /** What was spent before; nothing unless given. */
  readonly costs?: Costs;
}

/** What there is to see. */
export interface PairLook {
  /** m × H·dv: exact, in an array that the next look writes its changed rows into; and as last brought up to date. */
  readonly exact: Float32Array;
  readonly stale: Float32Array;
  readonly columns: number;
  /** For each query how far its stale row can be from the exact one, proven; and how far it is. */
  readonly bounds: Float64Array;
  readonly distances: Float64Array;
  /** Changed keys that the stale answers do not know. */
  readonly pending: number;
  /** Exact weights of the head, a list a query, a number a slot. */
  readonly weights: readonly Float32Array[];
  readonly costs: Costs;
}

const TIMED_LOOKS = 32;
/** Rebuilds that are timed at first, the looks from one to the next after that, and the number of times that are kept. */
const FIRST_REBUILDS = 3, LOOKS_BETWEEN = 16, KEPT_REBUILDS = 8;

/** The engines of a page. */
export class EnginePair {
  readonly #productsPerPair: number;
  readonly #exact: DynamicAttention;
  readonly #stale: DynamicAttention;
  #costs: Costs;
  #times: (readonly [stale: number, exact: number])[] = [];
  #rebuildTimes: number[] = [];
  #looksSinceRebuild = 0;
  /** The exact rows; a look writes those that have changed. */
  readonly #followed: FollowedAttention;
  /** Weights of a head as of the last look; null where something may have changed them. */
  #weights: { readonly head: number; readonly rows: readonly Float32Array[] } | null = null;
  /** Products of the two engines when the last look was settled. */
  #before: readonly [stale: number, exact: number] = [0, 0];
  /** Since then. */
  #editsSince = 0;
  #msSince = [0, 0];

  private constructor(exact: DynamicAttention, stale: DynamicAttention, options: PairOptions) {
    this.#exact = exact;
    this.#stale = stale;
    this.#followed = exact.follow();
    this.#productsPerPair = options.productsPerPair;
    this.#costs = options.costs ?? NO_COSTS;
  }

  /** Computes the first state; of `gone` slots both engines delete the keys before anybody looks. */
  static async create(options: PairOptions, gone: readonly number[] = []): Promise<EnginePair> {
    const exact = await DynamicAttention.create(options.exact);
    let stale: DynamicAttention | null = null;
    try {
      stale = await DynamicAttention.create({ ...options.exact, ...options.stale });
      for (const engine of [exact, stale]) {
        for (const slot of gone) engine.delete(slot);
        if (gone.length > 0) await engine.rebuild();
      }
      const pair = new EnginePair(exact, stale, options);
      await pair.#timeRebuilds();
      stale.edit([...options.missed ?? []]);
      return pair;
    } catch (error) {
      await exact.dispose();
      await stale?.dispose();
      throw error;
    }
  }

  /** Does edits; the slots of keys that they insert. */
  edit(edits: readonly Edit[]): number[] {
    if (edits.length === 0) return [];
    const start = performance.now();
    this.#stale.edit(edits);
    const between = performance.now();
    const slots = this.#exact.edit(edits);
    this.#msSince[0] += between - start;
    this.#msSince[1] += performance.now() - between;
    this.#editsSince += edits.length;
    this.#weights = null;
    return slots;
  }

  /** Looks at all queries, and at the weights of a head. */
  async look(head: number): Promise<PairLook> {
    const { output, bounds, pending } = await this.#timed(0, () => this.#stale.peek());
    await this.#timed(1, () => this.#followed.refresh());
    this.#settle();
    if (this.#looksSinceRebuild >= LOOKS_BETWEEN) await this.#timeRebuild();
    const { data: exact, slots: { length: rows } } = this.#followed, columns = exact.length / rows;
    const weights = await this.#weightsOf(head, rows);
    const stale = output.data;
    const distances = Float64Array.from({ length: rows }, (_, row) => {
      const at = row * columns;
      return Math.hypot(...Array.from({ length: columns }, (_, c) => exact[at + c] - stale[at + c]));
    });
    return { exact, stale, columns, bounds, distances, pending, weights, costs: this.#costs };
  }

  /** Weights of all queries; without edits those of the last look. */
  async #weightsOf(head: number, count: number): Promise<readonly Float32Array[]> {
    if (this.#weights?.head === head) return this.#weights.rows;
    const rows: Float32Array[] = [];
    await this.uncounted(async (engine) => {
      for (let row = 0; row < count; row++) rows.push(await engine.weights(row, { head }));
    });
    this.#weights = { head, rows };
    return rows;
  }

  /** Brings the stale answers up to date. */
  async catchUp(): Promise<void> {
    await this.#timed(0, () => this.#stale.read());
  }

  /** What only the drawing asks of the exact engine. */
  async uncounted<T>(work: (exact: DynamicAttention) => Promise<T>): Promise<T> {
    const [, before] = this.#products();
    const answer = await work(this.#exact);
    this.#before = [this.#before[0], this.#before[1] + this.#products()[1] - before];
    return answer;
  }

  /** Goes on with another backend, or stays where it is and throws. */
  async moveTo(backend: BackendName): Promise<void> {
    // The exact engine goes first: the other is asked only for what that one could do.
    const before = this.#exact.stats().backend as BackendName;
    await this.#exact.moveTo(backend, { threads: 1 });
    try {
      await this.#stale.moveTo(backend, { threads: 1 });
    } catch (error) {
      await this.#exact.moveTo(before, { threads: 1 });
      throw error;
    }
    this.#times = [];
    this.#weights = null;
    await this.#timeRebuilds();
  }

  /** Where it computes, and why there. */
  where(): { backend: string; reason: string; bytes: number } {
    const { backend, backendReason: reason, bytes } = this.#exact.stats();
    return { backend, reason, bytes };
  }

  /** What was spent until the last look. */
  get costs(): Costs {
    return this.#costs;
  }

  /** Ends both engines. */
  async dispose(): Promise<void> {
    this.#followed.dispose();
    await this.#stale.dispose();
    await this.#exact.dispose();
  }

  async #timeRebuilds(): Promise<void> {
    this.#rebuildTimes = [];
    for (let round = 0; round < FIRST_REBUILDS; round++) await this.#timeRebuild();
  }

  /** Computes all rows of the exact engine from scratch, for the time that this takes. */
  async #timeRebuild(): Promise<void> {
    const start = performance.now();
    await this.#exact.rebuild();
    this.#rebuildTimes.push(performance.now() - start);
    if (this.#rebuildTimes.length > KEPT_REBUILDS) this.#rebuildTimes.shift();
    this.#looksSinceRebuild = 0;
    this.#before = this.#products();
  }

  #products(): readonly [stale: number, exact: number] {
    return [this.#stale.stats().multiplyAdds, this.#exact.stats().multiplyAdds];
  }

  async #timed<T>(engine: 0 | 1, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const answer = await work();
    this.#msSince[engine] += performance.now() - start;
    return answer;
  }

  /** Books what the edits since the last look, and their answers, have cost. */
  #settle(): void {
    const [stale, exact] = this.#products();
    const { queryCount, keyCount } = this.#exact.stats();
    // Recomputing happens once for each answer, however many edits came before it.
    const scratch = this.#editsSince === 0 ? 0 : queryCount * keyCount * this.#productsPerPair;
    const spent: Three = [stale - this.#before[0], exact - this.#before[1], scratch];
    const { edits, total: [a, b, c] } = this.#costs;
    const total: Three = [a + spent[0], b + spent[1], c + spent[2]];
    if (this.#editsSince > 0) {
      this.#times.push([this.#msSince[0], this.#msSince[1]]);
      if (this.#times.length > TIMED_LOOKS) this.#times.shift();
      this.#looksSinceRebuild++;
      const medianOf = (at: 0 | 1) => median(this.#times.map((times) => times[at]));
      this.#costs = {
        lastEdits: this.#editsSince,
        edits: edits + this.#editsSince,
        last: spent,
        total,
        ms: [medianOf(0), medianOf(1), Math.min(...this.#rebuildTimes)],
      };
    } else this.#costs = { ...this.#costs, total };
    this.#before = [stale, exact];
    this.#editsSince = 0;
    this.#msSince = [0, 0];
  }
}

/** The median of at least one number. */
function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}
