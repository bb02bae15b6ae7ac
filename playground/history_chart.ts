/**
 * How far off the stale answer was, and how far it could have been, over the last looks: the distance as an area, the bound
 * as a line above it.
 */

import { FONT, line, prepareCanvas, roundUp } from "../src/jupyter/live/page/canvas.ts";
import { element, readable } from "../src/jupyter/live/page/dom.ts";
import type { PageTheme } from "../src/jupyter/live/page/theme.ts";

/** A look. */
interface Moment {
  readonly bound: number;
  readonly distance: number;
}

const MOMENTS = 240, HEIGHT = 96, TOP = 8, BOTTOM = 6, LEFT = 48;
/** The axis shows so much at least: below, there is only rounding to see. */
const LEAST_TOP = 0.05;

/** The chart of a page. */
export class HistoryChart {
  readonly canvas: HTMLCanvasElement = element("canvas", { role: "img" });
  #moments: Moment[] = [];

  /** Adds a look. */
  add(moment: Moment): void {
    this.#moments.push(moment);
    if (this.#moments.length > MOMENTS) this.#moments.shift();
  }

  /** Forgets them, where another query is looked at. */
  clear(): void {
    this.#moments = [];
  }

  /** Draws, as wide as there is room. */
  draw(theme: PageTheme, room: number): void {
    const context = prepareCanvas(this.canvas, room, HEIGHT);
    const largest = Math.max(
      LEAST_TOP,
      ...this.#moments.map(({ bound, distance }) => Number.isFinite(bound) ? bound : distance),
    );
    const top = roundUp(largest);
    const x = (at: number) => LEFT + (room - LEFT - 2) * at / (MOMENTS - 1);
    const y = (size: number) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * Math.min(size / top, 1.05);
    context.font = FONT;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const tick of [0, top / 2, top]) {
      context.strokeStyle = theme.line;
      context.lineWidth = 1;
      const height = Math.round(y(tick)) + 0.5;
      line(context, [LEFT, height], [room, height]);
      context.fillStyle = theme.faint;
      context.fillText(`${Number(tick.toPrecision(2))}°`, LEFT - 5, y(tick));
    }
    const start = MOMENTS - this.#moments.length;
    if (this.#moments.length === 0) return;
    context.fillStyle = theme.exact;
    context.globalAlpha = 0.45;
    context.beginPath();
    context.moveTo(x(start), y(0));
    for (const [at, { distance }] of this.#moments.entries()) context.lineTo(x(start + at), y(distance));
    context.lineTo(x(MOMENTS - 1), y(0));
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = theme.stale;
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.beginPath();
    for (const [at, { bound }] of this.#moments.entries()) context.lineTo(x(start + at), y(bound));
    context.stroke();
    const { bound, distance } = this.#moments.at(-1)!;
    this.canvas.setAttribute(
      "aria-label",
      `Over the last ${this.#moments.length} looks, in degrees; now ${readable(distance)} off, at most ${
        readable(bound)
      }`,
    );
  }
}
