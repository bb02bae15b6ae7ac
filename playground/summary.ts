/**
 * A moment in three numbers, and in a sentence for those who do not see it.
 */

import { element, readable } from "../src/jupyter/live/page/dom.ts";
import type { Costs } from "../src/jupyter/live/page/engine_pair.ts";
import { placeOf } from "./page.ts";
import { degrees, type Scene } from "./scene.ts";
import { ASKER_NAMES } from "./sea.ts";

/** Writes the three tiles. */
export function drawTiles({ look: { exact, bounds, distances, pending, costs }, query }: Scene): void {
  tile("tile-answer", degrees(exact[query], 2), `is the exact answer to ${ASKER_NAMES[query]}`);
  tile(
    "tile-bound",
    degrees(distances[query], 3),
    `is the error of the stale answer, which ${
      pending === 0 ? "knows all edits" : `does not know of ${keys(pending)}`
    }; the error is proven to be at most ${degrees(bounds[query], 3)}`,
  );
  tile("tile-cost", costs.edits > 0 ? milliseconds(costs.ms[1]) : "—", costSentence(costs));
}

/** The rest of a sentence that begins with the time of an exact answer. */
export function costSentence({ edits, lastEdits, total, ms: [, own, again] }: Costs): string {
  if (edits === 0) return "is what an edit and an exact answer take, once there was an edit";
  const last = lastEdits === 1 ? "an edit" : `${readable(lastEdits)} edits`;
  const start = `is what ${last} and an exact answer take here; computing the answer again takes ${
    milliseconds(again)
  }`;
  if (own < CLOCK_MS && again < CLOCK_MS) return `${start}: this clock cannot tell them apart`;
  const [, products, scratch] = total;
  return again >= own
    ? `${start}, ${times(again / Math.max(own, CLOCK_MS))} as long, with ${
      times(scratch / products)
    } the arithmetic`
    : `${start}: with so few keys, or so many edits, keeping it current is ${
      times(own / Math.max(again, CLOCK_MS))
    } slower`;
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
const CLOCK_MS = 0.1;

/** `0.4 ms`. */
export function milliseconds(ms: number): string {
  return ms < CLOCK_MS ? "< 0.1 ms" : `${ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString("en")} ms`;
}

/** `1,460 ×`. */
function times(ratio: number): string {
  return `${ratio.toLocaleString("en", { maximumSignificantDigits: 3 })} ×`;
}
