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
  const [stale, own, scratch] = costs.total;
  const edits = costs.edits === 1 ? "1 edit" : `${readable(costs.edits)} edits`;
  tile(
    "tile-cost",
    own > 0 ? times(scratch / own) : "—",
    own > 0
      ? `less arithmetic for exact answers, over ${edits}, than from scratch each time` +
        (stale > 0 ? `; ${times(scratch / stale)} less for stale ones` : "")
      : "less arithmetic than from scratch, once something was edited",
  );
}

/** What is looked at, in a sentence. */
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

/** `1,460 ×`. */
function times(ratio: number): string {
  return `${ratio.toLocaleString("en", { maximumSignificantDigits: 3 })} ×`;
}
