/**
 * The output of one row: the exact numbers as dots, the stale ones as rings with the certified bound as a whisker. No dot
 * is ever outside of its whisker.
 */

import { FONT, line, prepareCanvas, ringAndDot, roundUp } from "./canvas.ts";
import { element } from "./dom.ts";
import type { PageTheme } from "./theme.ts";

/** What is shown. */
export interface RowScene {
  readonly exact: Float32Array;
  readonly stale: Float32Array;
  readonly bound: number;
  /** The ends of the axis; what reaches beyond is cut off there. */
  readonly range: readonly [least: number, largest: number];
  readonly name: string;
}

const HEIGHT = 180, LEFT = 46, TOP = 10, BOTTOM = 20;
/** More columns than this are not told apart. */
export const MOST_COLUMNS = 32;

/** The chart of one figure. */
export class RowChart {
  readonly canvas: HTMLCanvasElement = element("canvas", { role: "img" });

  /** Draws, as wide as there is room. */
  draw(scene: RowScene, theme: PageTheme, room: number): void {
    const { exact, stale, bound, name } = scene;
    const context = prepareCanvas(this.canvas, room, HEIGHT);
    const [least, largest] = padded(scene.range);
    const plotHeight = HEIGHT - TOP - BOTTOM;
    const count = Math.min(exact.length, MOST_COLUMNS);
    const y = (number: number) => {
      const at = TOP + plotHeight * (largest - number) / (largest - least);
      return Math.min(Math.max(at, TOP - 4), TOP + plotHeight + 4);
    };
    const x = (column: number) => LEFT + (room - LEFT - 6) * (column + 0.5) / count;
    context.font = FONT;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const tick of ticksOf(least, largest)) {
      context.strokeStyle = theme.line;
      context.lineWidth = 1;
      const height = Math.round(y(tick)) + 0.5;
      line(context, [LEFT, height], [room - 2, height]);
      context.fillStyle = theme.faint;
      context.fillText(`${Number(tick.toPrecision(3))}`.replace("-", "−"), LEFT - 6, y(tick));
    }
    context.textAlign = "center";
    const step = Math.ceil(22 * count / (room - LEFT));
    for (let column = 0; column < count; column++) {
      const ring = Math.min(5, (room - LEFT) / count / 3);
      context.strokeStyle = theme.stale;
      context.lineWidth = 1.5;
      whisker(context, x(column), y(stale[column] + bound), y(stale[column] - bound), ring * 0.8);
      ringAndDot(context, {
        exact: [x(column), y(exact[column])],
        stale: [x(column), y(stale[column])],
        radius: [ring, ring * 0.6],
        colors: theme,
      });
      context.fillStyle = theme.faint;
      if (column % step === 0) context.fillText(`${column}`, x(column), HEIGHT - BOTTOM / 2);
    }
    const numbers = [...exact.slice(0, 8)].map((number) => number.toPrecision(3)).join(", ");
    this.canvas.setAttribute(
      "aria-label",
      `Output of ${name}, exact: ${numbers}${exact.length > 8 ? ", …" : ""}`,
    );
  }
}

function whisker(context: CanvasRenderingContext2D, x: number, from: number, to: number, half: number): void {
  if (!Number.isFinite(from + to)) return;
  line(context, [x, from], [x, to]);
  for (const end of [from, to]) line(context, [x - half, end], [x + half, end]);
}

function padded([least, largest]: readonly [number, number]): [number, number] {
  const room = (largest - least) * 0.04 || Math.abs(largest) * 0.1 || 1;
  return [least - room, largest + room];
}

/** About five round numbers. */
function ticksOf(least: number, largest: number): number[] {
  const step = roundUp((largest - least) / 5);
  const first = Math.ceil(least / step);
  const count = Math.floor(largest / step) - first + 1;
  return Array.from({ length: count }, (_, at) => (first + at) * step);
}
