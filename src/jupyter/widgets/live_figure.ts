/**
 * A figure of an engine that the reader steers: which key is edited and by how much, how many edits may wait, which head is
 * looked at.
 *
 * Invariant: what is drawn is what the engine in the kernel says; one request after the other is worked on, and of those
 * that wait for the same control only the newest counts.
 */

import { describe, InputError } from "../../base/errors.ts";
import { reading } from "../../base/lists.ts";
import { takeOptions } from "../../base/names.ts";
import type { Matrix } from "../../base/matrix.ts";
import { type FollowedRows, FollowedWeights } from "./followed_weights.ts";
import { type ControlValue, Panel } from "./panel.ts";
import { darkestOf, drawRows, drawWeights } from "./weights_picture.ts";
import { Widget } from "./widget.ts";

/** What is used of an engine; a `DynamicAttention` is one. */
export interface LiveEngine {
  /** Changes one entry of a key. */
  addToKey(slot: number, column: number, delta: number): void;
  /** The exact weights of a query, by key slot. */
  weights(slot: number, options: { readonly head: number }): Promise<Float32Array>;
  /** The last applied output, and how far it may be off. */
  peek(
    rows?: readonly number[],
  ): Promise<{ readonly output: Matrix; readonly bounds: Float64Array; readonly pending: number }>;
  /** Keeps rows within an error; asked for where the figure has one. */
  follow(rows: readonly number[], options: { readonly error: number }): FollowedRows;
  /** Applies what waits. */
  flush(): Promise<void>;
  /** Live key slots in ascending order. */
  keySlots(): Uint32Array;
  /** Live query slots in ascending order. */
  querySlots(): Uint32Array;
  /** Sizes. */
  stats(): { readonly heads: number };
}

/** What a live figure may be told. */
export interface LiveFigureOptions {
  /** The key slot that is edited at first; the first one unless given. */
  readonly key?: number;
  /** The head that is shown at first; 0 unless given. */
  readonly head?: number;
  /** The entry of the key that the slider moves; 0 unless given. */
  readonly column?: number;
  /** How far it moves it, up and down; 3 unless given. */
  readonly reach?: number;
  /** How many edits may wait at first before they are applied; 1 unless given. */
  readonly threshold?: number;
  /**
   * A query is drawn anew once its output may have moved further than this, which the engine's drift tells, and only
   * its row is sent; 0 unless given, for exact weights, all drawn at each change.
   */
  readonly error?: number;
  /** Query slots that are shown; the first 16 unless given. */
  readonly queries?: readonly number[];
}

const QUERIES_SHOWN = 16, KEYS_SHOWN = 200, THRESHOLD_MOST = 32;

/** An engine's weights, with sliders. */
export class LiveFigure extends Widget {
  /**
   * What it is made of.
   *
   * @ignore
   */
  protected override readonly panel: Panel;
  readonly #engine: LiveEngine;
  readonly #queries: readonly number[];
  readonly #column: number;
  /** The weights that are shown, where they may be stale. */
  readonly #followed: FollowedWeights | null;
  /** By how much each key has been moved. */
  readonly #moved = new Map<number, number>();
  #waiting = 0;
  #work: Promise<void> = Promise.resolve();
  #isDirty = false;

  private constructor(engine: LiveEngine, options: Required<LiveFigureOptions>) {
    super();
    const { heads } = engine.stats();
    const lastKey = engine.keySlots().at(-1) ?? 0;
    const { key, head, column, reach, threshold, error, queries } = options;
    this.#followed = error > 0 ? new FollowedWeights(engine, error) : null;
    this.#engine = engine;
    this.#queries = queries;
    this.#column = column;
    const range = { kind: "slider", min: 0, step: 1 } as const;
    this.panel = new Panel(
      {
        ...(lastKey > 0 ? { key: { ...range, label: "key", max: lastKey } } : {}),
        move: { kind: "slider", label: "move by", min: -reach, max: reach, step: reach / 50 },
        threshold: { ...range, label: "threshold", min: 1, max: THRESHOLD_MOST },
        ...(heads > 1 ? { head: { ...range, label: "head", max: heads - 1 } } : {}),
        reset: { kind: "button", label: "put back" },
      },
      { key, move: 0, threshold, head, reset: 0 },
    );
    this.panel.listen((name, value) => this.#take(name, value));
  }

  /** Draws an engine; `liveFigure` is the short form. */
  static async create(engine: LiveEngine, options: LiveFigureOptions = {}): Promise<LiveFigure> {
    const figure = new LiveFigure(engine, checked(engine, options));
    await figure.draw();
    return figure;
  }

  /** Draws it anew, after edits by code. */
  async draw(): Promise<void> {
    if (this.#followed) await this.#drawFollowed(this.#followed, true);
    else await this.#drawAll();
  }

  /** Takes it away from all pages, and follows no rows any longer. */
  override close(): void {
    this.#followed?.release();
    super.close();
  }

  /** Draws followed rows; those that left the error are asked for if that `isDue`, or the head is another one. */
  async #drawFollowed(followed: FollowedWeights, isDue: boolean): Promise<void> {
    const { key, head } = this.#choice(), slots = this.#engine.keySlots();
    const live = new Set(this.#engine.querySlots());
    const queries = this.#queries.filter((query) => live.has(query));
    const { weights, renewed } = isDue || head !== followed.head
      ? await followed.refresh(queries, head)
      : { weights: followed.shown(queries), renewed: 0 };
    const shown = keysAround(slots, key), byQuery = new Map(queries.map((query, at) => [query, weights[at]]));
    const rows = this.#queries.map((query) => {
      const row = byQuery.get(query);
      // A key that came after a row was drawn has no weight there yet.
      return row === undefined ? new Float32Array(0) : Float32Array.from(shown, (slot) => row[slot] ?? 0);
    });
    const part = shown.length < slots.length ? `; ${shown.length} of ${slots.length} keys` : "";
    const words = [
      `head ${head}, key ${key} ${this.#told(key, slots)}${part}`,
      `rows are queries, columns keys; the darkest weighs ${round(darkestOf(rows))}`,
      `edits that wait: ${this.#waiting}; drawn anew: ${renewed} of ${queries.length}`,
      `since rows were drawn, outputs may have moved by ${round(followed.bound)}`,
    ];
    const drawn = drawRows({ weights: rows, key: shown.indexOf(key), words });
    this.panel.pictures = [...drawn.rows, drawn.words];
  }

  /** Words about a key: how far it has moved, or that it is gone. */
  #told(key: number, slots: Uint32Array): string {
    return slots.includes(key) ? `moved by ${round(this.#moved.get(key) ?? 0)}` : "is not there";
  }

  /** Draws exact weights. */
  async #drawAll(): Promise<void> {
    const { key, head } = this.#choice();
    // Rows may have been inserted or deleted since.
    const slots = this.#engine.keySlots(), live = new Set(this.#engine.querySlots());
    const queries = this.#queries.filter((query) => live.has(query));
    const shown = keysAround(slots, key);
    const weights: Float32Array[] = [];
    for (const query of queries) {
      const all = await this.#engine.weights(query, { head });
      weights.push(Float32Array.from(shown, (slot) => all[slot]));
    }
    const { bounds, pending } = await this.#engine.peek(queries);
    const off = bounds.reduce((a, b) => Math.max(a, b), 0);
    const heaviest = weights.reduce((most, row) => row.reduce((a, b) => Math.max(a, b), most), 0);
    const moved = this.#told(key, slots);
    const part = shown.length < slots.length ? `, ${shown.length} of ${slots.length} keys` : "";
    const words = [
      `head ${head}, key ${key} ${moved}; ${queries.length} ${
        queries.length === 1 ? "query" : "queries"
      }${part}`,
      `rows are queries, columns keys; the darkest weighs ${round(heaviest)}`,
      `edits that wait: ${pending}; the applied output is off by at most ${round(off)}`,
    ];
    this.panel.pictures = [drawWeights({ weights, key: shown.indexOf(key), words })];
  }

  #choice(): { key: number; head: number; threshold: number } {
    const value = (name: string) => Number(this.panel.value(name));
    return { key: value("key"), head: value("head"), threshold: value("threshold") };
  }

  async #take(name: string, value: ControlValue): Promise<void> {
    const { key } = this.#choice();
    if (name === "move") this.#moveTo(key, Number(value));
    if (name === "key") this.panel.setValue("LiveFigure", "move", this.#moved.get(key) ?? 0);
    if (name === "reset") {
      for (const moved of this.#moved.keys()) this.#moveTo(moved, 0);
      this.panel.setValue("LiveFigure", "move", 0);
    }
    await this.#refresh();
  }

  #moveTo(key: number, by: number): void {
    if (!this.#engine.keySlots().includes(key)) return;
    this.#engine.addToKey(key, this.#column, by - (this.#moved.get(key) ?? 0));
    this.#moved.set(key, by);
    this.#waiting++;
  }

  /** What comes while it draws is drawn together. */
  async #refresh(): Promise<void> {
    if (this.#isDirty) return await this.#work;
    this.#isDirty = true;
    this.#work = this.#work.catch(() => {}).then(async () => {
      this.#isDirty = false;
      const isDue = this.#waiting >= this.#choice().threshold;
      if (isDue) this.#waiting = 0;
      if (this.#followed) return await this.#drawFollowed(this.#followed, this.#waiting === 0);
      if (isDue) await this.#engine.flush();
      await this.#drawAll();
    });
    await this.#work;
  }
}

/**
 * A figure of an engine's weights with controls that are bound to it: the key that is edited, how far it is moved, how many
 * edits may wait, and the head. What the reader does changes the engine in the kernel. Of many keys the 200 around the one
 * that is edited are drawn. With `error` the engine follows the queries that are shown: a row is asked for, drawn and
 * sent once its output may have left the error, and not before.
 *
 * @param engine A `DynamicAttention`.
 * @throws {InputError} When the engine is none, or an option is not a number that it can be.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { liveFigure } from "@attune/attention/widgets";
 *
 * await using live = await DynamicAttention.create({
 *   query: [[1, 0], [0, 1]],
 *   key: [[1, 0], [0, 1], [1, 1]],
 *   value: [[10], [20], [30]],
 * });
 * const figure = await liveFigure(live, { key: 1, threshold: 4 }); // the last value of a cell shows itself
 * figure.close();
 * ```
 */
export async function liveFigure(engine: LiveEngine, options: LiveFigureOptions = {}): Promise<LiveFigure> {
  return await LiveFigure.create(engine, options);
}

function checked(engine: LiveEngine, options: LiveFigureOptions): Required<LiveFigureOptions> {
  const operation = "liveFigure";
  if (typeof engine?.addToKey !== "function" || typeof engine.weights !== "function") {
    throw new InputError(operation, `engine is ${describe(engine)}`, "a DynamicAttention");
  }
  const names = ["key", "head", "column", "reach", "threshold", "error", "queries"] as const;
  const given = reading(operation, () => takeOptions(operation, options, names));
  const { heads } = engine.stats(), keys = engine.keySlots();
  const queries = given.queries ?? [...engine.querySlots().subarray(0, QUERIES_SHOWN)];
  const { key = keys[0], head = 0, column = 0, reach = 3, threshold = 1, error = 0 } = given;
  if (!Array.isArray(queries)) {
    throw new InputError(operation, `queries are ${describe(queries)}`, "query slots");
  }
  const whole = {
    head: [head, 0, heads - 1],
    threshold: [threshold, 1, THRESHOLD_MOST],
  };
  for (const [name, [value, least, most]] of Object.entries(whole)) {
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new InputError(
        operation,
        `${name} is ${describe(value)}`,
        `a whole number from ${least} to ${most}`,
      );
    }
  }
  if (keys.length === 0) throw new InputError(operation, "engine has no key", "one at least");
  if (!keys.includes(key)) throw new InputError(operation, `key is ${describe(key)}`, "a live key slot");
  if (!Number.isInteger(column) || column < 0) {
    throw new InputError(operation, `column is ${describe(column)}`, "a column");
  }
  if (!(reach > 0 && Number.isFinite(reach))) {
    throw new InputError(operation, `reach is ${describe(reach)}`, "more than 0");
  }
  if (!(typeof error === "number" && error >= 0 && error < Infinity)) {
    throw new InputError(operation, `error is ${describe(error)}`, "a finite number ≥ 0");
  }
  return { key, head, column, reach, threshold, error, queries };
}

/** Not more keys than can be drawn, those next to one of them. */
function keysAround(slots: Uint32Array, key: number): Uint32Array {
  const at = slots.findIndex((slot) => slot >= key), last = Math.max(0, slots.length - KEYS_SHOWN);
  const first = Math.min(last, Math.max(0, (at < 0 ? slots.length : at) - KEYS_SHOWN / 2));
  return slots.subarray(first, first + KEYS_SHOWN);
}

function round(value: number): string {
  return String(Number(value.toPrecision(3)));
}
