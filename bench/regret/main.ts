// Prints how the engine compares with the best fixed plan of every recorded trace, and puts the table in its
// page.

import { regretOf, toTable } from "./regret.ts";
import { recordTraces } from "./traces.ts";

const PAGE = new URL("../../docs/internals/planner.md", import.meta.url);

const { usual, hostile } = recordTraces();
const regrets = [];
for (const trace of [...usual, ...hostile]) regrets.push(await regretOf(trace));
const table = toTable(regrets);
console.log(table.join("\n"));
const page = await Deno.readTextFile(PAGE);
await Deno.writeTextFile(PAGE, page.replace(/(?:^\|.*\n)+/m, `${table.join("\n")}\n`));
