/**
 * Names of traces above the plots, in as many lines as they need.
 */

import type { PlainObject } from "../figure_data.ts";
import { UNPAINTED } from "../palette.ts";
import { eachOf, objectOf, textOf } from "./plain_reader.ts";
import { drawScatterKey } from "./scatter.ts";
import { element, shownLines, textElement } from "./svg.ts";
import type { TextMetrics } from "./text_metrics.ts";

const SIZE = 13, LINE_HEIGHT = 21, KEY_WIDTH = 30, SPACE = 18;

interface Entry {
  readonly trace: PlainObject;
  readonly name: string;
  readonly x: number;
  readonly line: number;
}

/** Entries with their places; one name alone says nothing. */
export class Legend {
  readonly height: number;
  readonly #entries: readonly Entry[];

  constructor(traces: readonly PlainObject[], layout: PlainObject, width: number, metrics: TextMetrics) {
    const named = traces.filter((trace) =>
      trace.type !== "heatmap" && trace.showlegend !== false && textOf(trace.name, "") !== ""
    );
    const isShown = layout.showlegend !== false && (named.length > 1 || layout.showlegend === true);
    let x = 0, line = 0;
    this.#entries = (isShown ? named : []).map((trace) => {
      const name = shownLines(textOf(trace.name, "")).join(" ");
      const needed = KEY_WIDTH + 6 + metrics.widthOf(name, SIZE);
      if (x > 0 && x + needed > width) [x, line] = [0, line + 1];
      const entry = { trace, name, x, line };
      x += needed + SPACE;
      return entry;
    });
    this.height = this.#entries.length === 0 ? 0 : (line + 1) * LINE_HEIGHT + 6;
  }

  /** With its left upper corner there. */
  draw(left: number, top: number, color: string): string {
    return this.#entries.map(({ trace, name, x, line }) => {
      const y = top + (line + 0.5) * LINE_HEIGHT;
      return drawKey(trace, left + x, y) +
        textElement([name], { x: left + x + KEY_WIDTH + 6, y, size: SIZE, fill: color, anchor: "start" });
    }).join("");
  }
}

function drawKey(trace: PlainObject, x: number, y: number): string {
  if (trace.type !== "bar") return drawScatterKey(trace, x, y, KEY_WIDTH);
  const fill = textOf(eachOf(objectOf(trace.marker).color, 0), UNPAINTED.mark);
  return element("rect", { x: x + KEY_WIDTH - 14, y: y - 6, width: 12, height: 12, fill });
}
