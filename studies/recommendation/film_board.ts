// The engine of a recommender: films are its keys and values, users its standing queries.
//
// Invariant: the centre v̄ is the mean of the values that are there, so a user with a query of zeros, who
// attends to all films alike, has o = v̄ and no taste.

import { DynamicAttention, type DynamicAttentionOptions } from "../../mod.ts";
import { dot, type FilmTable } from "./film_table.ts";

/** The films that become keys: those with a number of ratings, or a fixed list. */
export type Entry = { readonly ratings: number } | { readonly films: readonly number[] };

/** How it is kept; the library's defaults unless given. */
export type BoardOptions = Pick<DynamicAttentionOptions, "backend" | "lazyThreshold" | "onThreshold">;

/**
 * The number of keys from which the variances of columns are first computed; they are computed again whenever
 * it has doubled.
 */
const FIRST_WHITENED = 32;

/** Films and users on an engine. */
export class FilmBoard {
  readonly live: DynamicAttention;
  readonly table: FilmTable;
  readonly #entry: Entry;
  readonly #filmSlots = new Map<number, number>();
  readonly #userSlots = new Map<number, number>();
  readonly #values = new Map<number, Float32Array>();
  readonly #counts: Uint32Array;
  /** Σ v over the keys. */
  readonly #sum: Float64Array;

  private constructor(live: DynamicAttention, table: FilmTable, entry: Entry) {
    this.live = live;
    this.table = table;
    this.#entry = entry;
    this.#counts = new Uint32Array(table.size);
    this.#sum = new Float64Array(table.width);
  }

  static async create(table: FilmTable, entry: Entry, options: BoardOptions = {}): Promise<FilmBoard> {
    const nothing = { data: [], shape: [0, table.width] as const };
    const live = await DynamicAttention.create({
      query: nothing,
      key: nothing,
      value: nothing,
      scale: 1,
      lazyThreshold: Infinity,
      threads: 1,
      ...options,
    });
    const board = new FilmBoard(live, table, entry);
    if ("films" in entry) {
      for (const film of entry.films) board.#enter(film, 0);
      board.#whiten();
    }
    return board;
  }

  /** The films that are keys, with their slots, in the order in which they came. */
  get keys(): ReadonlyMap<number, number> {
    return this.#filmSlots;
  }

  /** The users that have a query, with its slot. */
  get users(): ReadonlyMap<number, number> {
    return this.#userSlots;
  }

  /** How often a film was rated. */
  count(film: number): number {
    return this.#counts[film];
  }

  /** v̄; zeros while there is no key. */
  centre(): Float64Array {
    const { size } = this.#filmSlots;
    return this.#sum.map((sum) => size === 0 ? 0 : sum / size);
  }

  /** The value of a key, as it was written last; to be read only. */
  written(film: number): Float32Array {
    const value = this.#values.get(film);
    if (!value) throw new Error(`FilmBoard: film ${film} is no key`);
    return value;
  }

  /** v_f as it would be written now, of a key or not. */
  value(film: number, bias: number): Float32Array<ArrayBuffer> {
    return this.table.value(film, { count: this.#counts[film], bias });
  }

  /** (o − v̄) · v: what a taste adds for a film, in stars. */
  match(output: ArrayLike<number>, value: ArrayLike<number>): number {
    return this.#filmSlots.size === 0 ? 0 : dot(output, value) - dot(this.centre(), value);
  }

  /** The query of a user, who gets one of zeros when there is none. */
  admit(user: number): number {
    const known = this.#userSlots.get(user);
    if (known !== undefined) return known;
    const slot = this.live.insertQuery(new Float32Array(this.table.width));
    this.#userSlots.set(user, slot);
    return slot;
  }

  /** Counts a rating of a film; its key and value follow, and it may become a key. */
  note(film: number, bias: number): void {
    this.#counts[film]++;
    if ("ratings" in this.#entry && this.#counts[film] === this.#entry.ratings) this.#enter(film, bias);
    else this.refresh(film, bias);
  }

  /** Takes a rating back. What has become a key stays one. */
  withdraw(film: number, bias: number): void {
    this.#counts[film]--;
    this.refresh(film, bias);
  }

  /** A user who is gone. */
  dismiss(user: number): void {
    this.#userSlots.delete(user);
  }

  /** Writes what the ratings say of a film to its key and value. */
  refresh(film: number, bias: number): void {
    const slot = this.#filmSlots.get(film);
    if (slot === undefined || !this.table.follows) return;
    const value = this.value(film, bias), before = this.written(film);
    this.live.set(slot, this.table.key(value), value);
    for (let c = 0; c < value.length; c++) this.#sum[c] += value[c] - before[c];
    this.#values.set(film, value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.live.dispose();
  }

  #enter(film: number, bias: number): void {
    const value = this.value(film, bias);
    this.#filmSlots.set(film, this.live.insert(this.table.key(value), value));
    for (let c = 0; c < value.length; c++) this.#sum[c] += value[c];
    this.#values.set(film, value);
    const { size } = this.#filmSlots;
    if (!("films" in this.#entry) && size >= FIRST_WHITENED && Number.isInteger(Math.log2(size))) {
      this.#whiten();
    }
  }

  /** Takes C from the keys there are, and writes all keys anew. */
  #whiten(): void {
    this.table.whiten([...this.#values.values()]);
    for (const [film, slot] of this.#filmSlots) this.live.setKey(slot, this.table.key(this.written(film)));
  }
}
