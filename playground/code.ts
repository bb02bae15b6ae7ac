/**
 * The page as a program to paste: the engine of this view, an edit, and both answers.
 *
 * Invariant: the program runs as it stands and prints what the page shows for the query that is looked at.
 */

import type { Lab } from "./lab.ts";
import { HEADS } from "./rows.ts";
import type { ViewState } from "./view_state.ts";

/** More buoys are not written down; the program then makes some up. */
const MOST_WRITTEN = 64;

/** The program of a view. */
export function codeOf(view: ViewState, lab: Lab): string {
  const buoys = Array.from({ length: lab.slotCount }, (_, slot) => lab.buoyOf(slot)).filter((buoy) =>
    buoy !== null
  );
  const written = buoys.map(({ x, y, temperature }) => `[${x}, ${y}, ${temperature}]`);
  const sea = buoys.length <= MOST_WRITTEN
    ? `[\n${inLines(written, 5)}]`
    : `Array.from({ length: ${buoys.length} }, () => [10 * Math.random() - 5, 6 * Math.random() - 3, 24 * Math.random() + 4])`;
  const options = [
    `heads: ${HEADS}`,
    `scale: ${2 ** view.scalePower}`,
    ...view.softcap === 0 ? [] : [`softcap: ${view.softcap}`],
    `lazyThreshold: ${thresholdOf(view)}`,
  ];
  return `import { DynamicAttention } from "@attune/attention";

// Buoys: x, y and the temperature there. Head 0 scores minus the squared distance, head 1 the product of places.
const sea = ${sea};
const keyOf = ([x, y]) => [x, y, x * x + y * y, 1, x, y, 0, 0];
const queryOf = ([x, y]) => [2 * x, 2 * y, -1, -(x * x + y * y), x, y, 0, 0];

const live = await DynamicAttention.create({
  query: [${lab.queries.map(({ x, y }) => `[${x}, ${y}]`).join(", ")}].map(queryOf),
  key: sea.map(keyOf),
  value: sea.map(([, , temperature]) => [temperature, temperature]),
  ${options.join(",\n  ")},
});

const { data } = await live.read(); // exact: a row for each query, a column for each head
console.log(data[${view.query * HEADS + view.head}].toFixed(2));

live.setKey(0, keyOf([0.5, 0.5])); // buoy 0 drifts: O(d + dv), however many buoys there are
const { output, bounds } = await live.peek(); // not caught up, and how far off at most
console.log(output.data[${view.query * HEADS + view.head}].toFixed(2), bounds[${view.query}].toFixed(3));
await live.dispose();
`;
}

function thresholdOf({ threshold, budget }: ViewState): string {
  return budget === Infinity ? String(threshold) : `{ edits: ${threshold}, error: ${budget} }`;
}

function inLines(items: readonly string[], perLine: number): string {
  const lines: string[] = [];
  for (let at = 0; at < items.length; at += perLine) {
    lines.push(`  ${items.slice(at, at + perLine).join(", ")},\n`);
  }
  return lines.join("");
}
