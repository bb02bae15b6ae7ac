// Full suite: it prices forty recorded traces under ten plans.
//
// On every recorded trace the engine costs little more than the fixed plan that would have been best for it, and the
// page shows the present numbers.

import { regretOf, toTable } from "../../bench/regret/regret.ts";
import { recordTraces } from "../../bench/regret/traces.ts";
import { assert, assertGreater, assertLess, assertStringIncludes } from "../../testing/assert.ts";

Deno.test("regret: at most 1.2 on the traces that are usual, 2 on those made to hurt, as docs/internals/planner.md says", async () => {
  const { usual, hostile } = recordTraces();
  assertGreater(usual.length, 29);
  const regrets = [];
  for (const trace of [...usual, ...hostile]) regrets.push(await regretOf(trace));
  for (const { kind, keys, rows, ratio } of regrets.slice(0, usual.length)) {
    assert(ratio <= 1.2, `${kind} over ${keys} keys and ${rows} rows: ${ratio}`);
  }
  for (const { ratio } of regrets.slice(usual.length)) assertLess(ratio, 2.01);
  const page = (await Deno.readTextFile(new URL("../../docs/internals/planner.md", import.meta.url))).replace(
    / +/g,
    " ",
  );
  for (const line of toTable(regrets).slice(2)) assertStringIncludes(page, line);
});
