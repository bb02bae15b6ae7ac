/**
 * A race of times: as long as an answer takes, so long is its bar. Exact answers and stale ones against one recompute an
 * answer.
 *
 * Invariant: the bars share one scale, that of the slowest.
 */

import { element } from "../src/jupyter/live/page/dom.ts";
import type { Costs } from "../src/jupyter/live/page/engine_pair.ts";
import { milliseconds } from "./summary.ts";

const RUNNERS = [["exact", "kept current, exact"], ["stale", "kept current, stale with its bound"], [
  "again",
  "computed again for each answer",
]] as const;

/** Draws the bars; a sentence before there was an edit. */
export function drawRace(place: HTMLElement, { edits, ms: [stale, exact, again] }: Costs): void {
  if (edits === 0) {
    place.replaceChildren(element("p", { class: "note" }, "The race starts with the first edit."));
    return;
  }
  const times = { exact, stale, again };
  const slowest = Math.max(stale, exact, again, Number.MIN_VALUE);
  place.replaceChildren(...RUNNERS.map(([kind, name]) => {
    const bar = element("i", { class: `bar ${kind}`, "aria-hidden": "true" });
    bar.style.inlineSize = `${Math.max(0.5, 100 * times[kind] / slowest).toFixed(1)}%`;
    return element(
      "div",
      { class: "runner" },
      element("span", {}, name),
      element("b", {}, milliseconds(times[kind])),
      element("div", { class: "lane" }, bar),
    );
  }));
}
