// Outside of a notebook: what shows is printed, what interrupts is a signal, and nothing needs a permission it does not
// say it needs.

import { InputError } from "../../src/base/errors.ts";
import { display, interruptible, show } from "../../src/jupyter/mod.ts";
import { notebookKernel } from "../../src/jupyter/kernel.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../testing/assert.ts";

const MODULE = new URL("../../src/jupyter/mod.ts", import.meta.url).href;

/** Runs a program and gives what it printed. */
async function run(source: string, ...permissions: string[]) {
  const folder = await Deno.makeTempDir({ prefix: "attune-" });
  try {
    await Deno.writeTextFile(`${folder}/script.ts`, source);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--quiet", ...permissions, `${folder}/script.ts`],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("outside of a notebook: values are printed, progress goes to standard error, nothing needs a permission", async () => {
  const { code, stdout, stderr } = await run(`
    import { display, embedPlotly, figure, interruptible, progress, show } from ${JSON.stringify(MODULE)};
    await embedPlotly();
    await show("text", { data: Float32Array.of(1, 2), shape: [1, 2] }, display([[3]]));
    let sum = 0;
    for (const n of progress(4, { label: "adding" })) sum += n;
    const f = figure({ data: [{ type: "scatter", y: [1] }], description: "a point" });
    await show(sum, f);
    console.log(await interruptible(() => "ran"));
    const bundle = await f[Symbol.for("Jupyter.display")]();
    console.log(bundle["text/plain"]);
  `);
  assertEquals(code, 0, stderr);
  assertEquals(stdout.split("\n").slice(0, 8), [
    "text",
    "Matrix 1 × 2, float32",
    "  1  2",
    "Matrix 1 × 1, float32",
    "  3",
    "6",
    "Figure: a point",
    "ran",
  ]);
  assert(/^a point \(no still picture: Requires read access/m.test(stdout), stdout);
  assert(/^adding: 100 %, 4 of 4, [\d,]+ items\/s, [\d.]+ s ✓$/m.test(stderr), stderr);
});

Deno.test("outside of a notebook: there is no kernel, and asking for it does not throw", () => {
  assertEquals(notebookKernel(), null);
});

Deno.test("display: takes what a matrix can be made of, and nothing else", async () => {
  assertEquals(Deno.inspect(display({ data: [1, 2], shape: [2, 1] })), "Matrix 2 × 1, float32\n  1\n  2");
  assertThrows(
    () => display(5 as never),
    InputError,
    "display: matrix is 5, expected { data, shape } or an array of rows",
  );
  assertThrows(() => display([[NaN]]), InputError, "display: matrix[0] has NaN");
  await show();
});

Deno.test("interruptible: gives what the run gives, or its error", async () => {
  assertEquals(await interruptible((signal) => signal.aborted), false);
  await assertRejects(() => interruptible(() => Promise.reject(new RangeError("own"))), RangeError, "own");
  await assertRejects(() => interruptible(3 as never), InputError, "interruptible: run is 3");
});

Deno.test({
  name:
    "interruptible: a signal ends the run, what was done is kept, and the next one ends the program again",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { interruptible, progress } from ${JSON.stringify(MODULE)};
        let done = 0;
        const forever = (function* () { while (true) yield 0; })();
        try {
          await interruptible(async (signal) => {
            for await (const _ of progress(forever, { signal })) if (++done === 1) console.log("running");
          });
        } catch (error) {
          console.log(error.name, error.message, done > 1);
        }
        setInterval(() => {}, 1000);
        console.log("waiting");`,
      ],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let output = "";
    const until = async (text: string) => {
      while (!output.includes(text)) {
        const { value, done } = await reader.read();
        assert(!done, `ended with ${output}`);
        output += value;
      }
    };
    try {
      await until("running");
      child.kill("SIGINT");
      await until("waiting");
      assertStringIncludes(output, "InterruptedError interruptible: the run was interrupted");
      assertStringIncludes(output, "still there true");
      child.kill("SIGINT");
      const { signal } = await child.status;
      assertEquals(signal, "SIGINT", "the listener is gone");
    } finally {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended, as it should.
      }
      await reader.cancel();
      await child.status;
    }
  },
});
