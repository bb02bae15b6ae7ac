/**
 * The answers to all queries: exact as a dot, stale as a ring with the certified bound as a whisker, on one axis of degrees.
 * No dot is outside of its whisker.
 */

import { line, prepareCanvas, ringAndDot } from "../src/jupyter/live/page/canvas.ts";
import { element } from "../src/jupyter/live/page/dom.ts";
import { degrees, type Scene, waterStyle } from "./scene.ts";
import { ASKER_NAMES, COLDEST, WARMEST } from "./sea.ts";

const ROW = 34, BOTTOM = 20, LEFT = 26, RIGHT = 10, STRIP = 4;
const FONT = '12px system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
const TICKS = [4, 10, 16, 22, 28];

/** The chart of a page. */
export class AnswerChart {
  readonly canvas: HTMLCanvasElement = element("canvas", { role: "img" });

  /** Draws, as wide as there is room. */
  draw({ look, queries, query, theme }: Scene, room: number): void {
    const bottom = queries.length * ROW;
    const context = prepareCanvas(this.canvas, room, bottom + BOTTOM);
    const x = (temperature: number) => {
      const share = (temperature - COLDEST) / (WARMEST - COLDEST);
      return LEFT + (room - LEFT - RIGHT) * Math.min(Math.max(share, -0.01), 1.01);
    };
    context.font = FONT;
    context.textBaseline = "middle";
    for (const tick of TICKS) {
      context.strokeStyle = theme.line;
      context.lineWidth = 1;
      const place = Math.round(x(tick)) + 0.5;
      line(context, [place, 2], [place, bottom]);
      context.fillStyle = theme.faint;
      context.textAlign = tick === WARMEST ? "right" : "center";
      context.fillText(`${tick} °C`, x(tick) + (tick === WARMEST ? RIGHT : 0), bottom + BOTTOM - 8);
    }
    for (let at = LEFT; at < room - RIGHT; at++) {
      context.fillStyle = waterStyle(COLDEST + (WARMEST - COLDEST) * (at - LEFT) / (room - LEFT - RIGHT));
      context.fillRect(at, bottom, 1, STRIP);
    }
    for (const at of queries.keys()) {
      const y = (at + 0.5) * ROW;
      const { exact, stale, bounds } = look;
      context.font = at === query ? `700 ${FONT}` : FONT;
      context.fillStyle = at === query ? theme.exact : theme.ink;
      context.textAlign = "left";
      context.fillText(ASKER_NAMES[at], 4, y);
      context.strokeStyle = theme.stale;
      context.lineWidth = at === query ? 2 : 1.5;
      const ends = [stale[at] - bounds[at], stale[at] + bounds[at]];
      if (Number.isFinite(bounds[at])) {
        line(context, [x(ends[0]), y], [x(ends[1]), y]);
        for (const end of ends) line(context, [x(end), y - 6], [x(end), y + 6]);
      }
      ringAndDot(context, {
        exact: [x(exact[at]), y],
        stale: [x(stale[at]), y],
        radius: [6.5, 4],
        colors: theme,
      });
    }
    const said = ASKER_NAMES.map((name, at) =>
      `${name}: exact ${degrees(look.exact[at], 2)}, stale ${degrees(look.stale[at], 2)}, ` +
      `at most ${degrees(look.bounds[at], 3)} off`
    );
    this.canvas.setAttribute("aria-label", `Answers. ${said.join("; ")}`);
  }
}
