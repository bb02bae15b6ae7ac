/**
 * A moment in three numbers, and in a sentence for those who do not see it.
 */

import { element, readable } from "../src/jupyter/live/page/dom.ts";
import { placeOf } from "./page.ts";
import { degrees, type Scene } from "./scene.ts";
import { ASKER_NAMES } from "./sea.ts";

/** Writes the three tiles. */
export function drawTiles({ look: { exact, bounds, distances, pending, costs }, query }: Scene): void {
  tile("tile-answer", degrees(exact[query], 2), `is what ${ASKER_NAMES[query]} is told by an exact read`);
  tile(
    "tile-bound",
    degrees(distances[query], 3),
    `off is the stale answer, which ${
      pending === 0 ? "knows all edits" : `does not know of ${keys(pending)}`
    }; ` +
      `proven: at most ${degrees(bounds[query], 3)}`,
  );
  const { edits, lastEdits, ms: [, own, again] } = costs;
  const last = lastEdits === 1 ? "an edit" : `${readable(lastEdits)} edits`;
  const [, products, scratch] = costs.total;
  tile(
    "tile-cost",
    edits > 0 ? milliseconds(own) : "—",
    edits > 0
      ? `for ${last} and an exact answer here, ${milliseconds(again)} for computing again: ${
        comparison(own, again)
      }; ` +
        `${times(scratch / products)} less arithmetic`
      : "for an edit and an exact answer, once something was edited",
  );
}

/** Describes the view in a sentence. */
export function sentenceOf(
  { look: { exact, bounds, distances, pending }, buoys, query, slot }: Scene,
): string {
  const buoy = buoys.find((each) => each.slot === slot);
  const key = buoy ? `Key ${slot} at ${buoy.x.toFixed(1)}, ${buoy.y.toFixed(1)}. ` : "";
  return `${key}Query ${ASKER_NAMES[query]}: ${degrees(exact[query], 2)}; the stale answer is off by ` +
    `${readable(distances[query])}, at most ${readable(bounds[query])}; ` +
    `${keys(pending)} ${pending === 1 ? "waits" : "wait"}.`;
}

function tile(id: string, number: string, text: string): void {
  placeOf(id).replaceChildren(element("strong", {}, number), " ", element("span", {}, text));
}

function keys(count: number): string {
  return count === 1 ? "1 changed key" : `${readable(count)} changed keys`;
}

/** Clocks of pages tick in tenths of a millisecond at best, so what is below says little. */
export function milliseconds(ms: number): string {
  return ms < 0.1 ? "< 0.1 ms" : `${ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString("en")} ms`;
}

function comparison(own: number, again: number): string {
  if (own < 0.1 && again < 0.1) return "with so few keys nobody can tell";
  return again >= own
    ? `${times(again / Math.max(own, 0.1))} faster`
    : `${times(own / Math.max(again, 0.1))} slower`;
}

/** `1,460 ×`. */
function times(ratio: number): string {
  return `${ratio.toLocaleString("en", { maximumSignificantDigits: 3 })} ×`;
}
