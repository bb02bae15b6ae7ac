// Tables show every cell, whatever it holds, and refuse what has no place in one.

import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";
import { InputError, table } from "../../src/jupyter/mod.ts";
import { DISPLAY } from "../../src/display/mime_bundle.ts";

async function htmlOf(shown: ReturnType<typeof table>): Promise<string> {
  return String((await shown[DISPLAY]())["text/html"]);
}

Deno.test("a table aligns columns of numbers to the right and shows them to four digits", async () => {
  const shown = table(["way", "share"], [["a", 0.123456], ["bc", 12], ["d", null]], { caption: "Ways" });
  assertEquals(Deno.inspect(shown), "Ways\nway   share\na    0.1235\nbc       12\nd");
  const html = await htmlOf(shown);
  assertEquals(html.match(/text-align:right/g)?.length, 4);
  assert(html.includes("<caption") && html.includes('scope="col"'));
});

Deno.test("whole numbers are shown in full, others to four digits", () => {
  const shown = table(["keys", "ms"], [[16384, 0.0487654], [123456789, 1234.5678], [-7, -0.5]]);
  assertEquals(Deno.inspect(shown).split("\n").map((line) => line.trim().split(/  +/)), [
    ["keys", "ms"],
    ["16,384", "0.04877"],
    ["123,456,789", "1235"],
    ["−7", "−0.5"],
  ]);
});

Deno.test("what a cell holds never acts as markup", async () => {
  const html = await htmlOf(table(["<b>"], [["<script>alert(1)</script>"]], { caption: "<i>" }));
  assert(!/<(b|i|script)>/.test(html));
});

Deno.test("what a cell holds is no formula in a page and commands no terminal", async () => {
  const shown = table(["$x$", "\x1b[31mred"], [["a\nb", "\x9b2J"]], { caption: "\x07" });
  assertEquals(Deno.inspect(shown), "\\x07\n$x$     \\x1b[31mred\na\\x0ab  \\x9b2J");
  assert(/^<div class="tex2jax_ignore mathjax_ignore"/.test(await htmlOf(shown)));
});

Deno.test("a column with a text among its numbers stays on the left", () => {
  assertEquals(Deno.inspect(table(["x"], [["none"], [12]])), "x\nnone\n12");
});

Deno.test("a table refuses rows of another length, holes and other values, and names them", () => {
  const cases: readonly (readonly [run: () => unknown, message: RegExp])[] = [
    [() => table(["a", "b"], [["x", 1], ["y"]]), /rows\[1\] has 1 cells.*2, one per column/],
    [() => table(["a"], [[undefined as unknown as string]]), /rows\[0\]\[0\] is undefined/],
    [() => table(["a"], "rows" as unknown as string[][]), /rows is/],
    [() => table(["a"], new Array(1)), /rows\[0\] is undefined/],
    [() => table("a" as unknown as string[], []), /columns is/],
    [() => table(["a"], [], { title: "b" } as unknown as { caption: string }), /title/],
    [() => table(["a"], [], { caption: 3 as unknown as string }), /caption is 3/],
  ];
  for (const [run, message] of cases) {
    const error = assertThrows(run, InputError);
    assert(message.test(error.message), error.message);
  }
});
