// In the stock Deno kernel: what cells show, bars that move while a cell is busy, and a stop button that keeps the state.

import { KernelProcess } from "../../src/kernel/kernel_process.ts";
import type { Message } from "../../src/kernel/protocol/message.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertMatch,
  assertStringIncludes,
} from "../../testing/assert.ts";

const moduleOf = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
const IMPORTS = `import { DynamicAttention } from ${moduleOf("mod.ts")};
import * as attune from ${moduleOf("src/jupyter/mod.ts")};`;

type Shown = Readonly<Record<string, unknown>>;

function dataOf({ content }: Message): Shown {
  return content.data as Shown;
}

/** Starts a kernel that has imported the library, and gives it to `use`. */
async function withKernel(
  use: (run: (code: string) => Promise<Message[]>, kernel: KernelProcess) => Promise<void>,
): Promise<void> {
  await using kernel = await KernelProcess.start({ cwd: new URL("../../notebooks/", import.meta.url) });
  const run = async (code: string) => {
    const { status, outputs } = await kernel.client.execute(code);
    assertEquals(status, "ok", JSON.stringify(outputs.map(({ content }) => content)));
    return [...outputs];
  };
  await run(IMPORTS);
  await use(run, kernel);
}

Deno.test("notebook: engines, matrices and figures show themselves as the last value of a cell", () =>
  withKernel(async (run) => {
    const [engine] = await run(`
      const live = await DynamicAttention.create({ query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[1], [2]] });
      live.setValue(0, [3]);
      live`);
    assertMatch(String(dataOf(engine)["text/plain"]), /^DynamicAttention\n {2}size[^]*bound[^]*memory/);
    assertMatch(String(dataOf(engine)["text/html"]), /^<figure/);
    const [matrix] = await run("await live.read()");
    assertEquals(Object.keys(dataOf(matrix)).sort(), ["image/png", "text/html", "text/plain"]);
    const figures = [];
    for (let count = 0; count < 2; count++) {
      figures.push(...await run("attune.heaviestKeys(await live.topKeys(0, 2))"));
    }
    for (const figure of figures) {
      assertEquals(Object.keys(dataOf(figure)).sort(), [
        "application/vnd.plotly.v1+json",
        "image/png",
        "text/html",
        "text/plain",
      ]);
    }
    const sizes = figures.map((figure) => String(dataOf(figure)["text/html"]).length);
    assertGreater(sizes[0], 500_000, "the library, once");
    assert(sizes[1] < 200_000, `${sizes[1]}`);
    const [library] = await run("await attune.embedPlotly()");
    assertStringIncludes(String(dataOf(library)["text/html"]), "DecompressionStream");
  }));

Deno.test("notebook: show shows each value in order, and waits for what came before", () =>
  withKernel(async (run) => {
    const outputs = await run(`
      await attune.show("text", { data: Float32Array.of(1, 2), shape: [1, 2] }, attune.display([[3]]));
      await attune.show()`);
    assertEquals(outputs.map((output) => dataOf(output)["text/plain"]), [
      '"text"',
      "Matrix 1 × 2, float32\n  1  2",
      "Matrix 1 × 1, float32\n  3",
    ]);
  }));

Deno.test("notebook: a bar moves while a cell is busy", () =>
  withKernel(async (run, kernel) => {
    // An endless loop that lets nothing in: it ends only because its bar was seen to move.
    const { promise: moved, resolve } = Promise.withResolvers<void>();
    const seen: Message[] = [];
    const running = kernel.client.execute(
      `let turns = 0;
       const endless = (function* () { while (true) yield 0; })();
       for (const _ of attune.progress(endless, { label: "<b>busy</b>" })) turns++;`,
      {
        onOutput: (output) => {
          seen.push(output);
          if (seen.filter(({ header }) => header.msg_type === "update_display_data").length === 3) resolve();
        },
      },
    );
    await moved;
    await kernel.interrupt("message");
    assertEquals((await running).status, "error");
    assertEquals(seen[0].header.msg_type, "display_data");
    const counts = seen.slice(0, 4).map((output) =>
      Number(/: ([\d,]+),/.exec(String(dataOf(output)["text/plain"]))?.[1].replaceAll(",", ""))
    );
    // A slow start may draw twice before the first item is done.
    assert(counts.every((count, at) => at === 0 || count >= counts[at - 1]), `${counts}`);
    assertGreater(counts[3], counts[0]);
    assertStringIncludes(String(dataOf(seen[1])["text/html"]), "&lt;b&gt;busy");
    const [turns] = await run("turns");
    // None is lost; on a busy machine none may have followed, either.
    assertGreaterOrEqual(Number(dataOf(turns)["text/plain"]), counts[3]);
  }));

Deno.test("notebook: the stop button ends an interruptible run, the state is kept and the next cell runs", () =>
  withKernel(async (run, kernel) => {
    for (let round = 1; round <= 2; round++) {
      const { promise: started, resolve } = Promise.withResolvers<void>();
      const running = kernel.client.execute(
        `globalThis.turns ??= 0;
         await attune.interruptible(async (signal) => {
           const endless = (function* () { while (true) yield 0; })();
           for await (const _ of attune.progress(endless, { signal })) globalThis.turns++;
         });`,
        { onOutput: () => resolve() },
      );
      await started;
      await kernel.interrupt("signal");
      const { status, outputs } = await running;
      assertEquals(status, "error");
      const error = outputs.find(({ header }) => header.msg_type === "error");
      assertEquals(error?.content.ename, "InterruptedError");
      const bar = outputs.filter(({ header }) => header.msg_type === "update_display_data").at(-1);
      assert(bar && String(dataOf(bar)["text/html"]).includes("#d9363e"), "red");
      assertEquals(dataOf((await run(`globalThis.turns > 0`))[0])["text/plain"], "true");
    }
  }));
