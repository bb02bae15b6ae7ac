/**
 * Certificates: for each row asked for, a bound on how far the output of its state is from what it would be
 * with the stored keys. `docs/internals/certificates.md` derives them.
 *
 * A row has sums of what its pending keys can do to it. They are brought up to the present when the row is
 * asked for: what a key that has changed since had in the sums is taken out, and what it has now is added. So
 * a look costs no more than the changes since the last one, however many keys are pending. Kernels do that
 * for many rows at once; the rows that they cannot answer for, and all rows of stores without such kernels,
 * are computed here in float64.
 *
 * Invariant: the sums of a row whose moment is not UNTAKEN are those of its pending keys as they were at that
 * moment. Its state has not changed since.
 */

import { keyHeadOf } from "../../numerics/head_layout.ts";
import type { Cohort } from "../backend.ts";
import type { Since } from "../since.ts";
import { AskedTiles } from "./asked_tiles.ts";
import {
  ALL_ROWS,
  type CertificateKernel,
  LANES,
  NOT_CHANGED,
  type TakenRow,
  TILE_BITS,
  TILE_ROWS,
} from "./certificate_kernel.ts";
import { CertifiedTile, countOf, lowest, UNTAKEN } from "./certified_tile.ts";
import {
  type CertifierParts,
  ENTRY_BYTES,
  EXCHANGE_ROUNDING,
  HostCertifier,
  MANY_CHANGES,
  MOST_BYTES,
} from "./host_certifier.ts";
import { KeyJournal } from "./key_journal.ts";
import type { KeysAt } from "./keys_at.ts";
import type { StateError } from "./measured_rounding.ts";
import type { CertifiedTotals } from "./pair_terms.ts";
import {
  BEGUN,
  group,
  hasUnkept,
  knownAmong,
  leaveToHost,
  neighboursOf,
  noteSteep,
  type Part,
} from "./tile_parts.ts";
import type { WeightRounding } from "./weight_rounding.ts";

/** The rows that are certified. */
export interface CertifiedRows {
  /** Whether no row of a head can be steep. */
  areFlat(head: number): boolean;
  isSteep(slot: number, head: number): boolean;
  /**
   * Another one where `rounding` may be another for a row whose query stays; null where that depends on the states.
   */
  roundingKind(head: number, keys: KeysAt): unknown;
  /** What computing the weights of a row may have done, which a kernel has taken. */
  rounding(row: TakenRow, head: number, keys: KeysAt): WeightRounding;
  /** Whether errors of states are measured, or were. */
  mayHaveErrors(keys: KeysAt): boolean;
  /** The measured error of a row's state; null if it was not measured. */
  errorOf(slot: number, head: number, keys: KeysAt): StateError | null;
  /** The bound of a row that is computed at the host: calls `bound`. */
  hostBound(slot: number, head: number, keys: KeysAt): number;
}

/** The work that certificates of some query slots still have to do, over all heads. */
export interface OwedPairs {
  /** Head rows, and, where no key is pending, those of whose states nothing is known. */
  readonly rows: number;
  readonly untaken: number;
  /** Pairs of a head row and a changed key of which nothing is known, and those of a key that has changed again. */
  readonly first: number;
  readonly again: number;
}

/** A question about one head that a kernel answers. */
interface HeadQuestion {
  readonly batch: CertificateKernel;
  readonly head: number;
  readonly keys: KeysAt;
  readonly rows: CertifiedRows;
  /** No two values are further apart. */
  readonly diameter: number;
}

/** The sums of a tile are begun anew after this number of exchanges. */
const MOST_EXCHANGES = 2 ** 20;
/** Up to this number of changes, each is looked up by itself. */
const FEW_CHANGES = 8;
const FLOAT64_ROUNDING = 2 ** -52;

/** Bounds, and what has been measured for them. */
export class Certifier {
  readonly #parts: CertifierParts;
  readonly #journal = new KeyJournal();
  readonly #host: HostCertifier;
  /** By head and number. */
  #tiles: CertifiedTile[][];
  #tileCount = 0;
  /** Pairs that kernels keep. */
  #pairCount = 0;
  readonly #pairs: Uint32Array;
  readonly #asked = new AskedTiles();
  #retained = new Float64Array(64);

  constructor(parts: CertifierParts) {
    const { layout, batch } = parts;
    this.#parts = parts;
    this.#host = new HostCertifier(parts, this.#journal, (slots, since) => this.#placesOf(slots, since));
    this.#tiles = Array.from({ length: layout.heads }, () => []);
    this.#pairs = new Uint32Array(batch?.mostChanges ?? 0);
  }

  /** Makes room for `changes` changes of keys. If memory is refused it throws, and nothing has changed. */
  reserve(changes: number): void {
    if (this.#tileCount > 0) this.#journal.reserve(changes);
  }

  /** The keys in some slots have changed, for which there is room. */
  changeKeys(slots: Uint32Array): void {
    if (this.#tileCount === 0) return;
    this.#journal.note(slots);
    this.#host.changeKeys(slots);
  }

  /** Bytes that it holds, without those of the kernels. */
  get bytes(): number {
    return this.#tileCount * CertifiedTile.BYTES + this.#host.bytes + this.#pairCount * ENTRY_BYTES +
      this.#journal.bytes;
  }

  /** Forgets all that was measured. */
  forget(): void {
    this.#tiles = this.#tiles.map(() => []);
    this.#tileCount = this.#pairCount = 0;
    this.#host.forget();
    this.#parts.batch?.forget();
  }

  /** Some query slots have other queries. */
  changeQueries(slots: Uint32Array): void {
    if (this.#tileCount === 0) return;
    for (const tiles of this.#tiles) {
      for (const slot of slots) {
        const tile = tiles[slot >>> TILE_BITS];
        if (!tile) continue;
        tile.measuredRows &= ~(1 << (slot & LANES));
        tile.roundedRows &= tile.measuredRows;
      }
    }
  }

  /** The states of some query slots have changed. */
  changeRows(slots: Uint32Array): void {
    if (this.#tileCount === 0) return;
    for (const tiles of this.#tiles) {
      for (let at = 0; at < slots.length;) {
        const number = slots[at] >>> TILE_BITS;
        let rows = 0;
        for (; at < slots.length && slots[at] >>> TILE_BITS === number; at++) {
          rows |= 1 << (slots[at] & LANES);
        }
        if (tiles[number]) this.#leaveStates(tiles[number], rows);
      }
    }
  }

  /** The states of rows of a tile have changed. */
  #leaveStates(tile: CertifiedTile, rows: number): void {
    const { batch } = this.#parts;
    tile.leave(rows);
    if (tile.host && !tile.isAtHost) this.#host.letGo(tile);
    if (!batch) return;
    // A row whose state has changed may go back to the kernel, unless it is steep, which depends on no state.
    tile.hostRows &= ~rows | tile.steepRows;
    if (!tile.isInKernel) this.#letGo(batch, tile);
  }

  /** Lets go of what keys have in a tile, none of whose rows has sums in the kernel. */
  #letGo(batch: CertificateKernel, tile: CertifiedTile): void {
    tile.exchanges = 0;
    if (tile.pairs.size + tile.unkept.size === 0) return;
    for (const pairs of tile.pairs.values()) if (pairs !== 0) batch.freePairs(pairs);
    this.#pairCount -= tile.pairs.size;
    tile.pairs.clear();
    tile.unkept.clear();
  }

  /** The sums of a row do not hold any more. */
  changeRow(slot: number, head: number): void {
    this.#tiles[head][slot >>> TILE_BITS]?.leave(1 << (slot & LANES));
  }

  /** A bound for each query of a cohort, whose states were loaded. */
  certify(
    { queries }: Pick<Cohort, "queries">,
    keys: KeysAt,
    rows: CertifiedRows,
  ): Float64Array<ArrayBuffer> {
    const bounds = new Float64Array(queries.length), { batch, layout } = this.#parts;
    for (let head = 0; head < layout.heads; head++) {
      if (batch) this.#certifyHead(batch, head, queries, keys, rows, bounds);
      else {
        for (let at = 0; at < queries.length; at++) {
          const bound = rows.hostBound(queries[at], head, keys);
          bounds[at] += layout.heads === 1 ? bound : bound ** 2;
        }
      }
    }
    if (layout.heads === 1) return bounds;
    for (let at = 0; at < bounds.length; at++) bounds[at] = Math.sqrt(bounds[at]);
    return bounds;
  }

  #certifyHead(
    batch: CertificateKernel,
    head: number,
    queries: Uint32Array,
    keys: KeysAt,
    rows: CertifiedRows,
    bounds: Float64Array,
  ): void {
    const { layout, spread } = this.#parts, keyHead = keyHeadOf(layout, head);
    const diameter = 2 * spread.radius(keyHead),
      question: HeadQuestion = { batch, head, keys, rows, diameter };
    const isUsable = batch.begin(head, { diameter, size: spread.largestNorm(keyHead) });
    this.#asked.sort(queries);
    this.#sumHead(question, isUsable);
    this.#addBounds(queries, question, bounds);
  }

  /** Bound of a row that is computed at the host, whose head is selected and whose state holds `totals`. */
  bound(totals: CertifiedTotals, slot: number, head: number, keys: KeysAt, rounding: WeightRounding): number {
    const tile = this.#tileOf(head, slot >>> TILE_BITS);
    return this.#host.bound(tile, slot & LANES, totals, head, keys, rounding);
  }

  /** Bound on what rounding alone did to the answer of a head row, which is selected and holds `totals`. */
  rounding(totals: CertifiedTotals, head: number, keys: KeysAt, rounding: WeightRounding): number {
    return this.#host.rounding(totals, head, keys, rounding);
  }

  /**
   * Counts the work of `certify` for these query slots. For one row a kernel computes four, and the bounds of a tile.
   */
  owed(queries: Uint32Array, since: Since): OwedPairs {
    const { batch } = this.#parts, pending = since.slots.length, { now } = this.#journal, asked = this.#asked;
    const owed = { rows: 0, untaken: 0, first: 0, again: 0 };
    asked.sort(queries);
    for (const tiles of this.#tiles) {
      for (let at = 0; at < asked.count; at++) {
        const tile = tiles[asked.numbers[at]];
        owed.rows += batch ? TILE_ROWS : countOf(asked.rows[at]);
        if (tile && tile.shared === now && (asked.rows[at] & ~tile.taken) === 0) continue;
        for (let left = asked.rows[at]; left !== 0;) {
          const moment = tile ? tile.momentOf(lowest(left)) : UNTAKEN,
            same = tile ? tile.withMoment(left, moment) : left;
          left &= ~same;
          if (moment < 0 && pending === 0) owed.untaken += countOf(same);
          if (moment === now) continue;
          this.#addOwed(owed, tile, moment, batch ? neighboursOf(same) : countOf(same), pending);
        }
      }
    }
    return owed;
  }

  /** Counts the pairs of rows whose sums are of one moment. */
  #addOwed(
    owed: { first: number; again: number },
    tile: CertifiedTile | undefined,
    moment: number,
    rows: number,
    pending: number,
  ): void {
    const changed = tile && moment >= 0 ? this.#journal.since(moment) : null;
    if (!tile || changed === null || changed.length > pending + MANY_CHANGES) owed.first += rows * pending;
    else {
      const known = knownAmong(tile, changed);
      owed.again += rows * known;
      owed.first += rows * (changed.length - known);
    }
  }

  /** Brings the sums of rows that kernels answer for up to the present. */
  #sumHead(question: HeadQuestion, isUsable: boolean): void {
    const { head, rows } = question, { now } = this.#journal, isFlat = rows.areFlat(head), parts: Part[] = [];
    const all = this.#asked;
    for (let at = 0; at < all.count; at++) {
      const number = all.numbers[at], asked = all.rows[at], tile = this.#tileOf(head, number);
      if (!isFlat || tile.steepRows !== 0) {
        noteSteep(tile, number, asked, (slot) => !isFlat && rows.isSteep(slot, head));
      }
      const left = isUsable ? 0 : asked & ~tile.hostRows;
      if (left !== 0) leaveToHost(tile, left);
      if (tile.exchanges > MOST_EXCHANGES) tile.leave(~tile.hostRows);
      const fresh = asked & ~tile.hostRows & ~tile.taken;
      if (fresh !== 0) this.#take(question, tile, number, fresh);
      const open = asked & ~tile.hostRows;
      if (open !== 0 && (tile.shared === UNTAKEN || tile.shared !== now)) {
        group(parts, tile, number, open, now);
      }
    }
    if (parts.length > 0) this.#bringUp(parts, question);
  }

  /** Brings the sums of rows up to the present, by what has changed since theirs, or anew. */
  #bringUp(parts: readonly Part[], question: HeadQuestion): void {
    const { batch, keys: { since } } = question, begun: Part[] = [], kept: Part[] = [];
    let oldest = Infinity;
    for (const part of parts) {
      const { tile, moment } = part, slots = moment === BEGUN ? null : this.#journal.since(moment);
      if (
        slots !== null && slots.length <= since.slots.length + MANY_CHANGES && !hasUnkept(tile, slots)
      ) {
        part.count = slots.length;
        oldest = Math.min(oldest, moment);
        kept.push(part);
        continue;
      }
      if (moment !== BEGUN) {
        tile.leave(part.rows);
        this.#take(question, tile, part.number, part.rows);
        part.rows &= ~tile.hostRows;
      }
      part.count = since.slots.length;
      begun.push(part);
    }
    const slots = kept.length > 0 ? this.#journal.since(oldest) : null;
    if (slots) this.#add(batch, kept, slots, this.#placesOf(slots, since));
    if (begun.length > 0) {
      this.#reserve(since.slots.length);
      this.#retained.set(since.retained);
      this.#add(batch, begun, since.slots, this.#retained);
    }
  }

  /** Has the kernel take the states of rows. */
  #take(question: HeadQuestion, tile: CertifiedTile, number: number, rows: number): void {
    const { batch } = question;
    if (!tile.isInKernel) this.#letGo(batch, tile);
    if (tile.kernelTile === 0) tile.kernelTile = batch.makeTile();
    tile.boundFor = NaN;
    const odd = batch.take(tile.kernelTile, number, rows, tile.measuredRows);
    tile.measuredRows |= rows;
    if (odd !== 0) leaveToHost(tile, odd);
    this.#tellRounding(question, tile, number, rows & ~odd);
    tile.reach(rows & ~odd, BEGUN);
  }

  /** Tells the kernel what rounding did to the weights of rows that were taken, unless it has been told the same. */
  #tellRounding(
    { batch, head, keys, rows: certified }: HeadQuestion,
    tile: CertifiedTile,
    number: number,
    rows: number,
  ): void {
    const kind = certified.roundingKind(head, keys);
    if (kind === null || kind !== tile.roundedFor) tile.roundedRows = 0;
    tile.roundedFor = kind;
    for (let rest = rows & ~tile.roundedRows; rest !== 0; rest &= rest - 1) {
      const slot = number * TILE_ROWS + lowest(rest), state = batch.stateOf(tile.kernelTile, slot);
      const { mass, variation } = certified.rounding(state, head, keys);
      batch.setWeights(tile.kernelTile, slot, variation, mass);
    }
    tile.roundedRows |= rows;
  }

  /** Has the kernel exchange changed keys in the sums of rows. */
  #add(batch: CertificateKernel, parts: readonly Part[], slots: Uint32Array, retained: Float64Array): void {
    const pairs = this.#pairs;
    for (let first = 0; first < slots.length; first += pairs.length) {
      const count = Math.min(pairs.length, slots.length - first);
      batch.setChanges(slots, retained, first, count);
      for (const part of parts) {
        const { tile, number, rows } = part, ofPart = Math.min(count, part.count - first);
        if (rows === 0 || ofPart <= 0) continue;
        for (let t = 0; t < ofPart; t++) {
          pairs[t] = this.#pairsOf(batch, tile, slots[first + t], retained[first + t] !== NOT_CHANGED);
        }
        const odd = batch.add(tile.kernelTile, number, rows, pairs, ofPart);
        tile.boundFor = NaN;
        tile.exchanges += ofPart;
        if (odd === 0) continue;
        leaveToHost(tile, odd);
        part.rows &= ~odd;
      }
    }
    const { now } = this.#journal;
    for (const { tile, rows } of parts) tile.reach(rows, now);
  }

  /** Where the kernel keeps what a key has in a tile; 0 for nowhere. */
  #pairsOf(batch: CertificateKernel, tile: CertifiedTile, slot: number, isNeeded: boolean): number {
    let pairs = tile.pairs.get(slot) ?? 0;
    if (pairs !== 0 || !isNeeded) return pairs;
    if ((this.#pairCount + 1) * (batch.pairBytes + ENTRY_BYTES) <= MOST_BYTES) pairs = batch.makePairs();
    if (pairs === 0) tile.unkept.add(slot);
    else {
      tile.pairs.set(slot, pairs);
      this.#pairCount++;
    }
    return pairs;
  }

  /** For each slot, under which id its row before is retained, or NOT_CHANGED. */
  #placesOf(slots: Uint32Array, since: Since): Float64Array {
    this.#reserve(slots.length);
    const retained = this.#retained, { idOf } = since;
    if (idOf) {
      for (let t = 0; t < slots.length; t++) retained[t] = idOf(slots[t]) ?? NOT_CHANGED;
      return retained;
    }
    const places = slots.length > FEW_CHANGES ? new Map<number, number>() : null;
    if (places) { for (let at = 0; at < since.slots.length; at++) places.set(since.slots[at], at); }
    for (let t = 0; t < slots.length; t++) {
      const at = places ? places.get(slots[t]) ?? -1 : since.slots.lastIndexOf(slots[t]);
      retained[t] = at < 0 ? NOT_CHANGED : since.retained[at];
    }
    return retained;
  }

  #reserve(count: number): void {
    if (count > this.#retained.length) this.#retained = new Float64Array(2 * count);
  }

  /** Adds the bounds of one head, or their squares where there are others. */
  #addBounds(queries: Uint32Array, question: HeadQuestion, target: Float64Array): void {
    const { batch, head, keys, rows, diameter } = question, tiles = this.#tiles[head];
    const areSquares = this.#tiles.length > 1;
    if (rows.mayHaveErrors(keys)) this.#takeErrors(queries, question);
    const { runs, runNumbers, runStarts } = this.#asked;
    for (let run = 0; run < runs; run++) {
      const number = runNumbers[run], start = runStarts[run], end = runStarts[run + 1];
      const tile = tiles[number], { kernelTile, hostRows } = tile;
      if (kernelTile !== 0 && tile.boundFor !== diameter) {
        const worn = batch.bound(kernelTile, number, tile.exchanges * EXCHANGE_ROUNDING);
        tile.boundFor = diameter;
        if (worn !== 0) tile.leave(worn & ~hostRows);
      }
      if (hostRows === 0) batch.addBounds(kernelTile, queries, start, end - start, target, areSquares);
      else {
        for (let row = start; row < end; row++) {
          if ((hostRows >>> (queries[row] & LANES) & 1) === 1) {
            const bound = rows.hostBound(queries[row], head, keys);
            target[row] += areSquares ? bound ** 2 : bound;
          } else batch.addBounds(kernelTile, queries, row, 1, target, areSquares);
        }
      }
    }
  }

  /** Tells the kernel measured errors, each once, which count instead of bounds from then on. */
  #takeErrors(queries: Uint32Array, { batch, head, keys, rows }: HeadQuestion): void {
    for (const slot of queries) {
      const tile = this.#tiles[head][slot >>> TILE_BITS], row = 1 << (slot & LANES);
      if (((tile.hostRows | tile.toldRows) & row) !== 0) continue;
      const error = rows.errorOf(slot, head, keys);
      if (!error) continue;
      const { norm } = batch.stateOf(tile.kernelTile, slot);
      batch.setRounding(tile.kernelTile, slot, 0, error.output + 4 * FLOAT64_ROUNDING * norm, error.mass);
      tile.toldRows |= row;
      tile.roundedRows &= ~row;
      tile.boundFor = NaN;
    }
  }

  #tileOf(head: number, number: number): CertifiedTile {
    const tiles = this.#tiles[head];
    let tile = tiles[number];
    if (!tile) {
      tiles[number] = tile = new CertifiedTile(this.#parts.batch ? 0 : ALL_ROWS);
      this.#tileCount++;
    }
    return tile;
  }
}
