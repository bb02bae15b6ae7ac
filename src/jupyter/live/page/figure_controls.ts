/**
 * The controls of the figure: what is looked at, what is done to a key, the rule, and how long stale answers may wait.
 */

import { button, type Picker, picker, type Slider, slider } from "./controls.ts";
import { element, readable } from "./dom.ts";
import { canTurn, keyWithEntry, scaledKey, type Slice, turnedKey } from "./key_edits.ts";
import type { LiveModel, Rule } from "./model.ts";

/** What the controls tell whoever made them. */
export interface FigureControlEvents {
  /** Another query or head is looked at. */
  pickQuery(): void;
  /** Another key is edited, or another part of it. */
  pickKey(): void;
  editKey(): void;
  changeRule(): void;
  changeThreshold(): void;
  catchUp(): void;
  startAnew(): void;
}

/** Before the entries of a key in the picker of parts. */
const LENGTH = 0, ANGLE = 1, ENTRIES = 2;
const MOST_SOFTCAP = 20, MOST_THRESHOLD = 16;

/** All controls of a figure. */
export class FigureControls {
  readonly element: HTMLElement;
  readonly #model: LiveModel;
  readonly #rows: Picker;
  readonly #heads: Picker;
  readonly #keys: Picker;
  readonly #parts: Picker;
  readonly #edit: Slider;
  readonly #scale: Slider;
  readonly #softcap: Slider;
  readonly #threshold: Slider;
  readonly #mostThreshold: number;
  /** The picked key as it was when it was picked. */
  #start: Float32Array<ArrayBuffer>;

  constructor(model: LiveModel, events: FigureControlEvents) {
    const { data } = model;
    this.#model = model;
    this.#start = model.keyOf(0);
    this.#mostThreshold = Math.min(MOST_THRESHOLD, data.keyLabels.length) + 1;
    const heads = Array.from({ length: data.heads }, (_, at) => `${at}`);
    const entries = Array.from({ length: data.key.columns }, (_, column) => `entry ${column}`);
    this.#rows = picker("query to look at", data.queryLabels, 0, () => events.pickQuery());
    this.#heads = picker("head", heads, 0, () => events.pickQuery());
    this.#keys = picker("key to edit", data.keyLabels, 0, () => events.pickKey());
    const parts = ["its length", "its angle, towards the query", ...entries];
    this.#parts = picker("what of it", parts, 0, () => events.pickKey());
    this.#edit = slider("edit", [0, 3, 0.01], 1, (value) => this.#sayEdit(value), () => events.editKey());
    const changeRule = () => events.changeRule();
    const sayScale = (power: number) => readable(data.scale * 2 ** power);
    this.#scale = slider("scale", [-3, 3, 0.05], 0, sayScale, changeRule);
    const mostSoftcap = Math.max(MOST_SOFTCAP, data.softcap);
    const sayCap = (cap: number) => cap === 0 ? "none" : readable(cap);
    this.#softcap = slider("softcap", [0, mostSoftcap, 0.5], data.softcap, sayCap, changeRule);
    this.#threshold = slider(
      "lazy threshold",
      [1, this.#mostThreshold, 1],
      Math.min(model.threshold, this.#mostThreshold),
      (at) => at >= this.#mostThreshold ? "never" : `${at} changed ${at === 1 ? "key" : "keys"}`,
      () => events.changeThreshold(),
    );
    const buttons = [
      button("catch up", () => events.catchUp()),
      button("start anew", () => events.startAnew()),
    ];
    this.element = element(
      "div",
      { class: "controls", role: "group", "aria-label": "controls" },
      this.#rows.element,
      ...(data.heads > 1 ? [this.#heads.element] : []),
      ...[this.#keys, this.#parts, this.#edit, this.#scale, this.#softcap, this.#threshold].map((each) =>
        each.element
      ),
      element("div", { class: "buttons" }, ...buttons),
    );
  }

  /** The query, the head and the key that are looked at. */
  get row(): number {
    return this.#rows.value();
  }
  get head(): number {
    return this.#heads.value();
  }
  get key(): number {
    return this.#keys.value();
  }

  get rule(): Rule {
    return { scale: this.#model.data.scale * 2 ** this.#scale.value(), softcap: this.#softcap.value() };
  }

  get threshold(): number {
    const at = this.#threshold.value();
    return at >= this.#mostThreshold ? Infinity : at;
  }

  /** Whether what is edited is an angle, whose direction is that of the query. */
  get isAngle(): boolean {
    return this.#parts.value() === ANGLE;
  }

  /** The picked key as the slider says. */
  get editedKey(): Float32Array<ArrayBuffer> {
    const part = this.#parts.value(), value = this.#edit.value();
    if (part === LENGTH) return scaledKey(this.#start, this.#slice, value);
    if (part === ANGLE) return turnedKey(this.#start, this.#slice, this.#query, value);
    return keyWithEntry(this.#start, part - ENTRIES, value);
  }

  /** Picks a pair; nobody is told. */
  pick(row: number, key: number): void {
    this.#rows.set(row);
    this.#keys.set(key);
  }

  /** Sets the slider of the edit to where the picked key is. */
  startEdit(key: Float32Array<ArrayBuffer>): void {
    this.#start = key;
    const part = this.#parts.value();
    this.#edit.enable(part !== ANGLE || canTurn(key, this.#slice, this.#query));
    if (part === LENGTH) this.#edit.set(1, [0, 3, 0.01]);
    else if (part === ANGLE) this.#edit.set(0, [-180, 180, 1]);
    else {
      const now = key[part - ENTRIES], reach = Math.max(2, 2 * Math.abs(now));
      this.#edit.set(now, [-reach, reach, reach / 200]);
    }
  }

  /** Sets the rule to that of the figure's data; nobody is told. */
  resetRule(): void {
    this.#scale.set(0);
    this.#softcap.set(this.#model.data.softcap);
  }

  /** The part of a key that the head reads. */
  get #slice(): Slice {
    const { data: { heads, kvHeads }, headDim } = this.#model;
    return { start: Math.floor(this.head * kvHeads / heads) * headDim, length: headDim };
  }

  get #query(): Float32Array {
    const { data, query, headDim } = this.#model;
    const at = this.row * data.query.columns + this.head * headDim;
    return query.data.subarray(at, at + headDim);
  }

  #sayEdit(value: number): string {
    const part = this.#parts.value();
    return part === LENGTH ? `${value.toFixed(2)} ×` : part === ANGLE ? `${value}°` : readable(value);
  }
}
