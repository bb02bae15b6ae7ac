/**
 * The weights as a map: a row a query, a column a key. Pairs without any weight are hatched; the row that is looked at and
 * the key that is edited are framed.
 */

import { styleAt } from "../../../display/color_scales.ts";
import { fitted, FONT, line, prepareCanvas } from "./canvas.ts";
import { element } from "./dom.ts";
import type { PageTheme } from "./theme.ts";

/** What is shown. */
export interface MapScene {
  readonly weights: readonly Float32Array[];
  readonly queryLabels: readonly string[];
  readonly keyLabels: readonly string[];
  readonly row: number;
  /** The key that is picked, by its place among the labels; −1 for none. */
  readonly key: number;
}

const LABEL_PIXELS = 96, GAP = 5, LEGEND = 30, LEGEND_WIDTH = 220;

/** The map of one figure. */
export class Heatmap {
  readonly canvas: HTMLCanvasElement;
  readonly #onPick: (row: number, key: number) => void;
  readonly #onPoint: (pair: readonly [row: number, key: number] | null) => void;
  #scene: MapScene | null = null;
  /** Where the cells are. */
  #left = 0;
  #top = 0;
  #width = 1;
  #height = 1;

  constructor(
    onPick: (row: number, key: number) => void,
    onPoint: (pair: readonly [row: number, key: number] | null) => void,
  ) {
    this.#onPick = onPick;
    this.#onPoint = onPoint;
    this.canvas = element("canvas", {
      class: "map",
      role: "img",
      click: (event) => this.#at(event as PointerEvent, (row, key) => this.#onPick(row, key)),
      pointermove: (event) => this.#at(event as PointerEvent, (row, key) => this.#onPoint([row, key])),
      pointerleave: () => this.#onPoint(null),
    });
  }

  /** Draws, as wide as there is room. */
  draw(scene: MapScene, theme: PageTheme, room: number): void {
    this.#scene = scene;
    const { weights, queryLabels, keyLabels } = scene;
    const measure = prepareCanvas(this.canvas, 1, 1);
    // Labels are measured in bold, as the picked ones are drawn.
    measure.font = `600 ${FONT}`;
    const widest = (labels: readonly string[]) =>
      Math.min(LABEL_PIXELS, Math.max(...labels.map((label) => measure.measureText(label).width)));
    const rows = queryLabels.length, columns = keyLabels.length;
    this.#left = Math.ceil(widest(queryLabels)) + GAP + 2;
    // A few pairs are drawn large; many share the room there is.
    const cell = Math.min(Math.max(34, Math.min(56, 260 / columns)), (room - this.#left - 2) / columns);
    this.#width = Math.max(1, cell);
    this.#height = Math.max(
      3,
      Math.min(Math.max(30, Math.min(48, 220 / rows)), 420 / rows, Math.max(cell, 16)),
    );
    this.#top = Math.ceil(widest(keyLabels)) + GAP + 2;
    const right = this.#left + columns * this.#width, bottom = this.#top + rows * this.#height;
    const width = Math.min(room, Math.max(right + 2, this.#left + LEGEND_WIDTH));
    const context = prepareCanvas(this.canvas, Math.ceil(width), Math.ceil(bottom + LEGEND));
    const largest = Math.max(...weights.map((row) => Math.max(...row)), Number.MIN_VALUE);
    for (const [i, row] of weights.entries()) {
      for (const [j, weight] of row.entries()) this.#cell(context, theme, i, j, weight / largest);
    }
    this.#labels(context, theme, scene);
    this.#frames(context, theme, scene, right, bottom);
    legend(context, theme, largest, this.#left, bottom + 8);
    this.canvas.setAttribute("aria-label", describeMap(scene));
  }

  #cell(context: CanvasRenderingContext2D, theme: PageTheme, i: number, j: number, share: number): void {
    const gap = this.#width > 6 && this.#height > 6 ? 1 : 0;
    // Edges fall on whole pixels, since there would be seams otherwise.
    const x = Math.round(this.#left + j * this.#width), y = Math.round(this.#top + i * this.#height);
    const width = Math.round(this.#left + (j + 1) * this.#width) - x - gap;
    const height = Math.round(this.#top + (i + 1) * this.#height) - y - gap;
    context.fillStyle = styleAt(theme.weights, share);
    context.fillRect(x, y, width, height);
    if (share > 0) return;
    context.strokeStyle = theme.hatch;
    context.lineWidth = 1;
    line(context, [x, y + height], [x + width, y]);
  }

  #labels(context: CanvasRenderingContext2D, theme: PageTheme, scene: MapScene): void {
    const { queryLabels, keyLabels, row, key } = scene;
    context.textBaseline = "middle";
    // Where not all labels fit, as many as fit are drawn, and those that are picked.
    const write = (
      labels: readonly string[],
      size: number,
      picked: number,
      put: (at: number, text: string) => void,
    ) => {
      const step = Math.ceil(13 / size);
      for (const [at, label] of labels.entries()) {
        const isPicked = at === picked;
        if (!isPicked && (at % step !== 0 || Math.abs(at - picked) < step)) continue;
        context.font = isPicked ? `600 ${FONT}` : FONT;
        put(at, fitted(context, label, LABEL_PIXELS));
      }
    };
    context.textAlign = "right";
    write(queryLabels, this.#height, row, (at, text) => {
      context.fillStyle = at === row ? theme.exact : theme.ink;
      context.fillText(text, this.#left - GAP, this.#top + (at + 0.5) * this.#height);
    });
    context.textAlign = "left";
    write(keyLabels, this.#width, key, (at, text) => {
      context.fillStyle = at === key ? theme.edited : theme.ink;
      context.save();
      context.translate(this.#left + (at + 0.5) * this.#width, this.#top - GAP);
      context.rotate(-Math.PI / 2);
      context.fillText(text, 0, 0);
      context.restore();
    });
  }

  #frames(
    context: CanvasRenderingContext2D,
    theme: PageTheme,
    { row, key }: MapScene,
    right: number,
    bottom: number,
  ): void {
    context.lineWidth = 2;
    if (key >= 0) {
      context.strokeStyle = theme.edited;
      context.strokeRect(
        this.#left + key * this.#width - 1,
        this.#top - 1,
        this.#width + 1,
        bottom - this.#top + 1,
      );
    }
    context.strokeStyle = theme.exact;
    context.strokeRect(
      this.#left - 1,
      this.#top + row * this.#height - 1,
      right - this.#left + 1,
      this.#height + 1,
    );
  }

  /** Which pair is under the pointer. */
  #at(event: PointerEvent, tell: (row: number, key: number) => void): void {
    const { weights } = this.#scene ?? { weights: [] };
    const box = this.canvas.getBoundingClientRect();
    const scale = box.width / parseFloat(this.canvas.style.width);
    const key = Math.floor(((event.clientX - box.left) / scale - this.#left) / this.#width);
    const row = Math.floor(((event.clientY - box.top) / scale - this.#top) / this.#height);
    if (row in weights && key in weights[row]) tell(row, key);
    else this.#onPoint(null);
  }
}

function legend(
  context: CanvasRenderingContext2D,
  theme: PageTheme,
  largest: number,
  x: number,
  y: number,
): void {
  const width = 96;
  for (let at = 0; at < width; at++) {
    context.fillStyle = styleAt(theme.weights, at / (width - 1));
    context.fillRect(x + at, y, 1, 9);
  }
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.strokeRect(x - 0.5, y - 0.5, width + 1, 10);
  context.font = FONT;
  context.fillStyle = theme.faint;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(`weight 0 to ${largest.toPrecision(3)}`, x + width + 8, y + 5);
}

/** For those who do not see it: the heaviest key of each query. */
function describeMap({ weights, queryLabels, keyLabels }: MapScene): string {
  const lines = weights.slice(0, 12).map((row, i) => {
    const heaviest = row.indexOf(Math.max(...row));
    return `${queryLabels[i]}: most of ${keyLabels[heaviest]}, ${row[heaviest].toFixed(2)}`;
  });
  return `Attention weights. ${lines.join("; ")}${weights.length > 12 ? "; …" : ""}`;
}
