/**
 * The numbers of a look, three ways side by side: stale answers with a certificate, exact ones, and computing all from
 * scratch once for each answer.
 */

import { readable } from "../src/jupyter/live/page/dom.ts";
import type { Three } from "../src/jupyter/live/page/engine_pair.ts";
import { answersTable, rowOfThree } from "../src/jupyter/live/page/numbers.ts";
import { degrees, type Scene } from "./scene.ts";
import { milliseconds } from "./summary.ts";

/** Makes the table. */
export function numbersTable({ look, query }: Scene): HTMLElement {
  const { exact, stale, bounds, distances, pending, costs } = look;
  const { edits } = costs;
  return answersTable("computed again", [
    [
      "answer",
      [stale[query], "stale", degrees(stale[query], 3)],
      [exact[query], "exact", degrees(exact[query], 3)],
      [0, "", "the same"],
    ],
    ["off by, both heads", [distances[query], "distance"], [0], [0]],
    ["proven to be off by at most", [bounds[query], "bound"], [0, "", "rounding"], [0, "", "rounding"]],
    ["changed keys it does not know", [pending, "pending"], [0], [0]],
    ...edits === 0 ? [] : costRows(costs),
  ]);
}

/** The rows that show the costs of all edits so far. */
function costRows(
  { lastEdits, last, edits, total, ms }: Scene["look"]["costs"],
): ReturnType<typeof rowOfThree>[] {
  return [
    rowOfThree(
      `multiply-adds, last ${lastEdits === 1 ? "edit" : `${readable(lastEdits)} edits`}`,
      "last",
      last,
    ),
    rowOfThree(
      edits === 1 ? "multiply-adds in all" : `multiply-adds, all ${readable(edits)} edits`,
      "total",
      total,
    ),
    rowOfThree("… of computing again", "share", share(total), (part) => `${readable(part * 100)} %`),
    rowOfThree("time, edits and answer", "ms", ms, milliseconds),
  ];
}

function share([stale, exact, scratch]: Three): Three {
  return scratch === 0 ? [0, 0, 0] : [stale / scratch, exact / scratch, 1];
}
