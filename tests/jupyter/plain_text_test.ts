// Texts of others are texts in every dialect: no commands to a terminal, and no formulas in a page.

import { DISPLAY } from "../../src/display/mime_bundle.ts";
import { figure, liveAttention } from "../../src/jupyter/mod.ts";
import { NO_MATH, terminalText } from "../../src/jupyter/plain_text.ts";
import { progressText } from "../../src/jupyter/progress_text.ts";
import { assert, assertEquals } from "../../testing/assert.ts";

Deno.test("plain text: what commands a terminal is written out, all else stays", () => {
  const cases: readonly (readonly [text: string, shown: string])[] = [
    ["\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"],
    ["a\nb\tc\r\0", "a\\x0ab\\x09c\\x0d\\x00"],
    ["\x9b2J\x7f", "\\x9b2J\\x7f"],
    ["ünï 😀 $x$ <b> \\x1b", "ünï 😀 $x$ <b> \\x1b"],
  ];
  for (const [text, shown] of cases) assertEquals(terminalText(text), shown);
});

Deno.test("plain text: labels of progress and descriptions of figures command no terminal", async () => {
  const state = { label: "\x1b[2J", unit: "\x07s", postfix: "\r", done: 1, total: 2, elapsedMs: 0 };
  assertEquals(
    progressText({ ...state, status: "stopped" }),
    "\\x1b[2J: 50 %, 1 of 2, 0 \\x07s/s, 0 s, \\x0d ✗ stopped",
  );
  const shown = figure({ data: [{ y: [1] }], description: "\x1b]0;title\x07" });
  assertEquals((await shown[DISPLAY]())["text/plain"], "\\x1b]0;title\\x07");
});

Deno.test("plain text: MathJax leaves figures alone", async () => {
  const drawn = figure({ data: [{ y: [1] }] });
  const live = liveAttention({ query: [[1]], key: [[1]], value: [[1]], labels: ["$x$"] });
  for (const html of [(await drawn[DISPLAY]())["text/html"], (await live.toDisplay())["text/html"]]) {
    assert(
      new RegExp(`^[^<]*<div [^>]*class="[^"]*${NO_MATH}"`).test(String(html)),
      String(html).slice(0, 200),
    );
  }
});
