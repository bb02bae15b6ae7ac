// `deno task bench:outputs`: how many outputs of the stock kernel arrive. Each of 200 cells and more shows
// something in one of the usual ways; what a client that listens for a moment after the idle hears is
// counted, and what one would hear that stops at the idle, as nbconvert does.

import { KernelProcess } from "../src/kernel/kernel_process.ts";

const JUPYTER = JSON.stringify(new URL("../src/jupyter/mod.ts", import.meta.url).href);

/** Ways to show something as the last act of a cell. */
const WAYS: Readonly<Record<string, (mark: string) => string>> = {
  "show": (mark) => `await (await import(${JUPYTER})).show("${mark}");`,
  "show, a megabyte": (mark) =>
    `await (await import(${JUPYTER})).show({
       [Symbol.for("Jupyter.display")]: () => ({ "text/plain": "${mark}", "text/html": "x".repeat(1e6) }) });`,
  "display, awaited, then 10 ms": (mark) =>
    `await Deno.jupyter.broadcast("display_data", { data: { "text/plain": "${mark}" }, metadata: {} });
     await new Promise((resolve) => setTimeout(resolve, 10));`,
  "display, awaited": (mark) =>
    `await Deno.jupyter.broadcast("display_data", { data: { "text/plain": "${mark}" }, metadata: {} });`,
  "the last expression": (mark) => `"${mark}"`,
  "console.log": (mark) => `console.log("${mark}");`,
};

const cellCount = Number(Deno.args[0] ?? 240);
const table: Record<string, Record<string, number>> = {};
for (const [way, sourceOf] of Object.entries(WAYS)) {
  await using kernel = await KernelProcess.start();
  let never = 0, late = 0;
  for (let cell = 0; cell < cellCount; cell++) {
    const mark = `cell ${cell}.`;
    const { outputs, late: afterIdle } = await kernel.client.execute(sourceOf(mark));
    const isThere = outputs.some(({ content }) => JSON.stringify(content).includes(mark));
    if (!isThere) never++;
    else if (afterIdle > 0) late++;
  }
  table[way] = { cells: cellCount, "after the idle": late, "never": never };
}
console.table(table);
