/**
 * The figure in its host: pictures, numbers and controls.
 */

import { type Change, ChangeLoop } from "./change_loop.ts";
import { element, readable } from "./dom.ts";
import { FigureControls } from "./figure_controls.ts";
import { Heatmap } from "./heatmap.ts";
import type { LiveModel, Look } from "./model.ts";
import { numbersTable } from "./numbers.ts";
import { MOST_COLUMNS, RowChart } from "./row_chart.ts";
import { STYLE } from "./style.ts";
import { DARK, isDark, LIGHT, onThemeChange } from "./theme.ts";

/** After so long a pause the state is said aloud. */
const SAY_MS = 500;

/** Draws a model in a host, and keeps it drawn. Resolves when it is drawn for the first time. */
export async function showFigure(host: HTMLElement, model: LiveModel): Promise<void> {
  await new FigureView(host, model).start();
}

class FigureView {
  readonly #host: HTMLElement;
  readonly #model: LiveModel;
  readonly #controls: FigureControls;
  readonly #loop: ChangeLoop;
  readonly #map: Heatmap;
  readonly #chart = new RowChart();
  readonly #chartTitle = element("h4");
  readonly #readout = element("p", { class: "readout" });
  readonly #numbers = element("div", { class: "wide" });
  readonly #status = element("p", { class: "hidden", role: "status" });
  readonly #left: HTMLElement;
  readonly #right: HTMLElement;
  readonly #figure: HTMLElement;
  #look: Look | null = null;
  /** The axis of outputs: it only grows, so that it does not wobble under the reader's hand. */
  #range: readonly [least: number, largest: number] = [Infinity, -Infinity];
  /** Keys as they will be once the changes that wait are done. */
  readonly #planned = new Map<number, Float32Array<ArrayBuffer>>();
  /** The timer of what is said aloud. */
  #saying = 0;

  constructor(host: HTMLElement, model: LiveModel) {
    this.#host = host;
    this.#model = model;
    this.#controls = new FigureControls(model, {
      pickQuery: () => {
        if (this.#controls.isAngle) this.#pickKey();
        this.#act();
      },
      pickKey: () => this.#pickKey(),
      editKey: () => this.#editKey(),
      changeRule: () => {
        const { rule } = this.#controls;
        this.#act("rule", () => model.setRule(rule));
      },
      changeThreshold: () => {
        model.threshold = this.#controls.threshold;
        this.#act();
      },
      catchUp: () => this.#act("all", () => model.catchUp()),
      startAnew: () => this.#startAnew(),
    });
    this.#loop = new ChangeLoop({
      look: () => this.#lookAgain(),
      fail: (error) => this.#readout.textContent = String(error),
    });
    this.#map = new Heatmap((row, key) => {
      this.#controls.pick(row, key);
      this.#pickKey();
      this.#act();
    }, (pair) => this.#say(pair));
    this.#left = element("div", { class: "half" }, this.#map.canvas, this.#readout);
    this.#right = element(
      "div",
      { class: "half" },
      this.#chartTitle,
      noteOf(model),
      this.#chart.canvas,
      this.#numbers,
    );
    this.#figure = element(
      "div",
      { class: "figure" },
      element("h3", {}, model.data.title),
      element("div", { class: "halves" }, this.#left, this.#right),
      this.#controls.element,
      this.#status,
    );
  }

  /** Puts it into the host and draws it. */
  async start(): Promise<void> {
    const tree = this.#host.attachShadow({ mode: "open" });
    tree.append(element("style", {}, STYLE), this.#figure);
    const redraw = () => this.#draw();
    // The figure holds it, and nothing else does: see onThemeChange.
    Reflect.set(this.#figure, "redraw", redraw);
    onThemeChange(redraw);
    new ResizeObserver(redraw).observe(this.#host);
    this.#pickKey();
    await this.#loop.ask();
  }

  #pickKey(): void {
    const slot = this.#controls.key;
    this.#controls.startEdit(this.#planned.get(slot) ?? this.#model.keyOf(slot));
    if (this.#look) this.#draw();
  }

  #editKey(): void {
    const slot = this.#controls.key, row = this.#controls.editedKey;
    this.#planned.set(slot, row);
    this.#act(`key ${slot}`, () => this.#model.setKey(slot, row));
  }

  #startAnew(): void {
    this.#controls.resetRule();
    this.#act("all", async () => {
      await this.#model.reset();
      this.#planned.clear();
      this.#range = [Infinity, -Infinity];
      this.#pickKey();
    });
  }

  /** Does a change, and looks, for somebody who does not wait. */
  #act(what?: string, change?: Change): void {
    this.#loop.ask(what, change).catch((error) => this.#readout.textContent = String(error));
  }

  async #lookAgain(): Promise<void> {
    this.#look = await this.#model.look(this.#controls.row, this.#controls.head);
    if (!this.#loop.hasWaiting) this.#planned.clear();
    const { exact, stale, range } = this.#look;
    this.#range = [
      Math.min(this.#range[0], range[0], ...exact, ...stale),
      Math.max(this.#range[1], range[1], ...exact, ...stale),
    ];
    this.#draw();
  }

  #draw(): void {
    // Where it has no room, in a hidden tab say, it is drawn once it has.
    if (!this.#look || this.#left.clientWidth === 0) return;
    const dark = isDark(this.#host), theme = dark ? DARK : LIGHT;
    this.#figure.classList.toggle("dark", dark);
    const { queryLabels, keyLabels } = this.#model.data;
    const { row, key } = this.#controls;
    const { weights, exact, stale, bound } = this.#look;
    this.#map.draw({ weights, queryLabels, keyLabels, row, key }, theme, this.#left.clientWidth);
    const name = queryLabels[row];
    this.#chartTitle.textContent = `Output of ${name}`;
    this.#chart.draw({ exact, stale, bound, range: this.#range, name }, theme, this.#right.clientWidth);
    this.#numbers.replaceChildren(numbersTable(this.#look));
    this.#say(null);
  }

  /** Says what is under the pointer, or of the pair that is picked. */
  #say(pair: readonly [row: number, key: number] | null): void {
    if (!this.#look) return;
    const [i, j] = pair ?? [this.#controls.row, this.#controls.key];
    const { queryLabels, keyLabels } = this.#model.data;
    const said = `${queryLabels[i]} → ${keyLabels[j]}: ${this.#look.weights[i][j].toPrecision(4)}`;
    this.#readout.textContent = said;
    if (pair) return;
    const { pending, distance, bound } = this.#look;
    const sentence = `${said}. Off by ${readable(distance)}, at most ${readable(bound)}; ` +
      `${pending} changed ${pending === 1 ? "key" : "keys"} pending.`;
    clearTimeout(this.#saying);
    this.#saying = setTimeout(() => this.#status.textContent = sentence, SAY_MS);
  }
}

/** What the marks of the chart mean. */
function noteOf({ data: { heads }, valueDim }: LiveModel): HTMLElement {
  const all = heads * valueDim, shown = Math.min(MOST_COLUMNS, all);
  return element(
    "p",
    { class: "note" },
    element("span", { class: "exact" }, "● exact"),
    "   ",
    element("span", { class: "stale" }, "○ stale, with its certified bound"),
    shown < all ? `   (first ${shown} of ${all} columns)` : "",
  );
}
