// What is made of a cell before it runs: the value, the lines and the meaning stay.

import { completionAt, expressionAt, toPoints, toUnits } from "../../src/kernel/cell/cursor.ts";
import { namesOf } from "../../src/kernel/cell/names.ts";
import { parseCell, type ParsedCell } from "../../src/kernel/cell/parser.ts";
import { rewriteCell } from "../../src/kernel/cell/rewrite.ts";
import { assert, assertEquals } from "../../testing/assert.ts";

function parsed(code: string): ParsedCell {
  const cell = parseCell(code);
  assert("statements" in cell, JSON.stringify(cell));
  return cell;
}

const BRIDGE = `globalThis[Symbol.for("attune.kernel")]`;
const shortened = (code: string) =>
  rewriteCell(code, parsed(code), 7)
    .replaceAll(`(${BRIDGE}?.awaiting??Promise.resolve.bind(Promise))`, "W")
    .replaceAll(`(${BRIDGE}?.iterating??(items=>items))`, "I").replaceAll(`${BRIDGE}.enter(7)`, "E");

Deno.test("cell: every await waits by way of the kernel, and nothing else changes", async (t) => {
  const cases: readonly (readonly [code: string, expected: string])[] = [
    ["await f(await g())", "void E;await W(f(await W(g())))"],
    ["for await (const x of y()) z(x)", "void E;for await (const x of I(y())) z(x)"],
    ["const f = async () => { await (1, 2) }", "void E;const f = async () => { await (W((1, 2))) }"],
    ["{a: 1}", "(E,{a: 1})"],
    ["{a: await b}", "(E,{a: await W(b)})"],
    ["{ let a = 1; a }", "void E;{ let a = 1; a }"],
    ["// only words", "// only words"],
    ["", ""],
    ["// words\nlet x = <T,>(y: T) => y", "// words\nvoid E;let x = <T,>(y: T) => y"],
    ["let y = <number>z", "void E;let y = <number>z"],
    ["/** @jsx h */ <b>{await x}</b>", "/** @jsx h */ void E;<b>{await W(x)}</b>"],
    ['import { a } from "b"; await a', 'void E;import { a } from "b"; await W(a)'],
    ["await x as number; await y!", "void E;await W(x) as number; await W(y!)"],
    ["const s = `await ${await t}`; // await u", "void E;const s = `await ${await W(t)}`; // await u"],
    ["await using r = open()", "void E;await using r = open()"],
  ];
  for (const [code, expected] of cases) await t.step(code, () => assertEquals(shortened(code), expected));
});

Deno.test("cell: what cannot be read is told apart from what is not finished", () => {
  const unfinished = (code: string) => {
    const cell = parseCell(code);
    return "text" in cell ? cell.isUnfinished : null;
  };
  for (const code of ["1 + 1", "", "await x", "// a", "{a: 1}", "label: for (;;) {}"]) {
    assertEquals(unfinished(code), null, code);
  }
  for (const code of ["const x = {", "f(", "`a ${b}", "/* a", "1 +", "class A {", "if (a) {\n b"]) {
    assertEquals(unfinished(code), true, code);
  }
  for (const code of ["let = = 3", "f)", "return 1", "const 1 = 2"]) {
    assertEquals(unfinished(code), false, code);
  }
});

Deno.test("cell: names are known with where they come from and what was written above", () => {
  const { imported, documented } = namesOf(parsed(
    `import def, { a as b, c } from "m"; import * as all from "n";
     const { d, e: f } = await import("o"); const whole = await import("p");
     /** Adds.
      * Two lines. */
     function add() {}
     /** A value. */
     export const g = 1, h = 2;
     /* no words */ class K {}`,
  ));
  assertEquals(
    Object.fromEntries(
      [...imported].map(([name, origin]) => [name, `${origin.name} of ${origin.specifier}`]),
    ),
    {
      def: "default of m",
      b: "a of m",
      c: "c of m",
      all: "* of n",
      d: "d of o",
      f: "e of o",
      whole: "* of p",
    },
  );
  assertEquals(Object.fromEntries(documented), { add: "Adds.\nTwo lines.", g: "A value.", h: "A value." });
});

Deno.test("cell: the cursor is counted in code points, and finds what is meant", () => {
  const code = "'😀'; live.setKey(1, ";
  assertEquals(toUnits(code, 3), 4);
  assertEquals(toPoints(code, 4), 3);
  assertEquals(toUnits(code, 1000), code.length);
  assertEquals(expressionAt(code, code.length), "live.setKey");
  assertEquals(expressionAt("f(g(1), h(2), ", 14), "f");
  assertEquals(expressionAt("a.b.c", 3), "a.b");
  assertEquals(expressionAt("1 + ", 4), "");
  assertEquals(completionAt("x = live.se", 11), { object: "live", prefix: "se" });
  assertEquals(completionAt("maybe?.na", 9), { object: "maybe", prefix: "na" });
  assertEquals(completionAt("x = li", 6), { object: null, prefix: "li" });
});
