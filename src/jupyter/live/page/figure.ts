/**
 * The figure in its host: pictures, numbers, controls, and the one loop that keeps them current.
 *
 * Invariant: changes are done in the order in which they were asked for, one at a time; of the looks that wait only the last
 * is drawn.
 */

import { button, picker, slider } from "./controls.ts";
import { element, readable } from "./dom.ts";
import { Heatmap } from "./heatmap.ts";
import { canTurn, keyWithEntry, scaledKey, type Slice, turnedKey } from "./key_edits.ts";
import type { LiveModel, Look } from "./model.ts";
import { numbersTable } from "./numbers.ts";
import { MOST_COLUMNS, RowChart } from "./row_chart.ts";
import { STYLE } from "./style.ts";
import { DARK, isDark, LIGHT, onThemeChange } from "./theme.ts";

/** Before the entries of a key in the picker. */
const LENGTH = 0, ANGLE = 1, ENTRIES = 2;
const MOST_SOFTCAP = 20, MOST_THRESHOLD = 16;
/** After so long a pause the state is said aloud. */
const SAY_MS = 500;

/** Draws a model in a host, and keeps it drawn. Resolves when it is drawn for the first time. */
export async function showFigure(host: HTMLElement, model: LiveModel): Promise<void> {
  const { data } = model;
  const { queryLabels, keyLabels } = data;

  let look: Look | null = null;
  /** The axis of outputs: it only grows, so that it does not wobble under the reader's hand. */
  let range: readonly [least: number, largest: number] = [Infinity, -Infinity];
  /** The picked key as it was when it was picked. */
  let start = model.keyOf(0);
  let task: Promise<void> | null = null;
  /** Changes that wait, by what they change. */
  const asked = new Map<string, () => Promise<void>>();
  /** Keys as they will be once those are done. */
  const planned = new Map<number, Float32Array<ArrayBuffer>>();
  let wantsLook = false;
  /** The timer of what is said aloud. */
  let saying = 0;

  const readout = element("p", { class: "readout" });
  const map = new Heatmap((row, key) => {
    rows.set(row);
    keys.set(key);
    pickKey();
    act();
  }, (pair) => say(pair));
  const chart = new RowChart();
  const chartTitle = element("h4");
  const numbers = element("div", { class: "wide" });
  const status = element("p", { class: "hidden", role: "status" });

  const rows = picker("query to look at", queryLabels, 0, () => pickRow());
  const heads = picker("head", Array.from({ length: data.heads }, (_, at) => `${at}`), 0, () => pickRow());
  const keys = picker("key to edit", keyLabels, 0, () => pickKey());
  const parts = picker(
    "what of it",
    ["its length", "its angle, towards the query"].concat(entryNames()),
    0,
    () => pickKey(),
  );
  const edit = slider("edit", [0, 3, 0.01], 1, sayEdit, applyEdit);
  const scale = slider("scale", [-3, 3, 0.05], 0, (power) => readable(data.scale * 2 ** power), applyRule);
  const softcap = slider(
    "softcap",
    [0, Math.max(MOST_SOFTCAP, data.softcap), 0.5],
    data.softcap,
    (cap) => cap === 0 ? "none" : readable(cap),
    applyRule,
  );
  const mostThreshold = Math.min(MOST_THRESHOLD, keyLabels.length) + 1;
  const thresholdOf = (at: number) => at >= mostThreshold ? Infinity : at;
  const threshold = slider(
    "lazy threshold",
    [1, mostThreshold, 1],
    Math.min(model.threshold, mostThreshold),
    (at) => thresholdOf(at) === Infinity ? "never" : `${at} changed ${at === 1 ? "key" : "keys"}`,
    () => {
      model.threshold = thresholdOf(threshold.value());
      act();
    },
  );
  const catchUp = button("catch up", () => act("all", () => model.catchUp()));
  const reset = button("start anew", () => {
    scale.set(0);
    softcap.set(data.softcap);
    act("all", async () => {
      await model.reset();
      planned.clear();
      range = [Infinity, -Infinity];
      pickKey();
    });
  });

  const left = element("div", { class: "half" }, map.canvas, readout);
  const shown = Math.min(MOST_COLUMNS, data.heads * model.valueDim);
  const all = data.heads * model.valueDim;
  const note = element(
    "p",
    { class: "note" },
    element("span", { class: "exact" }, "● exact"),
    "   ",
    element("span", { class: "stale" }, "○ stale, with its certified bound"),
    shown < all ? `   (first ${shown} of ${all} columns)` : "",
  );
  const right = element("div", { class: "half" }, chartTitle, note, chart.canvas, numbers);
  const figure = element(
    "div",
    { class: "figure" },
    element("h3", {}, data.title),
    element("div", { class: "halves" }, left, right),
    element(
      "div",
      { class: "controls", role: "group", "aria-label": "controls" },
      rows.element,
      ...(data.heads > 1 ? [heads.element] : []),
      keys.element,
      parts.element,
      edit.element,
      scale.element,
      softcap.element,
      threshold.element,
      element("div", { class: "buttons" }, catchUp, reset),
    ),
    status,
  );
  const tree = host.attachShadow({ mode: "open" });
  tree.append(element("style", {}, STYLE), figure);

  // The figure holds it, and nothing else does: see onThemeChange.
  Reflect.set(figure, "redraw", draw);
  onThemeChange(draw);
  new ResizeObserver(draw).observe(host);
  pickKey();
  await ask();

  function entryNames(): string[] {
    return Array.from({ length: data.key.columns }, (_, column) => `entry ${column}`);
  }

  /** The part of a key that the head reads. */
  function slice(): Slice {
    const kvHead = Math.floor(heads.value() * data.kvHeads / data.heads);
    return { start: kvHead * model.headDim, length: model.headDim };
  }

  function pickedQuery(): Float32Array {
    const at = rows.value() * data.query.columns + heads.value() * model.headDim;
    return model.query.data.subarray(at, at + model.headDim);
  }

  function pickRow(): void {
    // Which way the angle goes is the query's.
    if (parts.value() === ANGLE) pickKey();
    act();
  }

  /** Sets the slider of the edit to where the picked key is. */
  function pickKey(): void {
    const slot = keys.value();
    start = planned.get(slot) ?? model.keyOf(slot);
    const part = parts.value();
    edit.enable(part !== ANGLE || canTurn(start, slice(), pickedQuery()));
    if (part === LENGTH) edit.set(1, [0, 3, 0.01]);
    else if (part === ANGLE) edit.set(0, [-180, 180, 1]);
    else {
      const now = start[part - ENTRIES];
      const reach = Math.max(2, 2 * Math.abs(now));
      edit.set(now, [-reach, reach, reach / 200]);
    }
    if (look) draw();
  }

  function sayEdit(value: number): string {
    const part = parts.value();
    return part === LENGTH ? `${value.toFixed(2)} ×` : part === ANGLE ? `${value}°` : readable(value);
  }

  function applyEdit(): void {
    const part = parts.value(), value = edit.value(), slot = keys.value();
    const row = part === LENGTH
      ? scaledKey(start, slice(), value)
      : part === ANGLE
      ? turnedKey(start, slice(), pickedQuery(), value)
      : keyWithEntry(start, part - ENTRIES, value);
    planned.set(slot, row);
    act(`key ${slot}`, () => model.setKey(slot, row));
  }

  function applyRule(): void {
    const rule = { scale: data.scale * 2 ** scale.value(), softcap: softcap.value() };
    act("rule", () => model.setRule(rule));
  }

  /** Does a change, and looks. One that has not begun is overtaken by a later one of the same thing. */
  function ask(what?: string, change?: () => Promise<void>): Promise<void> {
    if (what && change) {
      asked.delete(what);
      asked.set(what, change);
    }
    wantsLook = true;
    task ??= run().finally(() => task = null);
    return task;
  }

  /** The same for somebody who does not wait. */
  function act(what?: string, change?: () => Promise<void>): void {
    ask(what, change).catch((error) => readout.textContent = String(error));
  }

  async function run(): Promise<void> {
    while (wantsLook) {
      wantsLook = false;
      for (const [what, change] of asked) {
        asked.delete(what);
        await change();
      }
      look = await model.look(rows.value(), heads.value());
      if (asked.size === 0) planned.clear();
      const { exact, stale } = look;
      range = [
        Math.min(range[0], look.range[0], ...exact, ...stale),
        Math.max(range[1], look.range[1], ...exact, ...stale),
      ];
      draw();
    }
  }

  function draw(): void {
    // Where it has no room, in a hidden tab say, it is drawn once it has.
    if (!look || left.clientWidth === 0) return;
    const dark = isDark(host);
    const palette = dark ? DARK : LIGHT;
    figure.classList.toggle("dark", dark);
    const row = rows.value(), key = keys.value();
    map.draw({ weights: look.weights, queryLabels, keyLabels, row, key }, palette, left.clientWidth);
    const { exact, stale, bound } = look;
    chartTitle.textContent = `Output of ${queryLabels[row]}`;
    chart.draw({ exact, stale, bound, range, name: queryLabels[row] }, palette, right.clientWidth);
    numbers.replaceChildren(numbersTable(look));
    say(null);
  }

  /** Says what is under the pointer, or of the pair that is picked. */
  function say(pair: readonly [row: number, key: number] | null): void {
    if (!look) return;
    const [i, j] = pair ?? [rows.value(), keys.value()];
    readout.textContent = `${queryLabels[i]} → ${keyLabels[j]}: ${look.weights[i][j].toPrecision(4)}`;
    if (pair) return;
    const { pending, distance, bound } = look;
    const sentence = `${readout.textContent}. Off by ${readable(distance)}, at most ${readable(bound)}; ` +
      `${pending} changed ${pending === 1 ? "key" : "keys"} pending.`;
    clearTimeout(saying);
    saying = setTimeout(() => status.textContent = sentence, SAY_MS);
  }
}
