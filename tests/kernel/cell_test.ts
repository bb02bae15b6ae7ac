// What is made of a cell before it runs: the value, the lines and the meaning stay.

import { completionAt, expressionAt, toPoints, toUnits } from "../../src/kernel/cell/cursor.ts";
import { literalAt } from "../../src/kernel/cell/literals.ts";
import { namesOf } from "../../src/kernel/cell/names.ts";
import { parseCell, type ParsedCell } from "../../src/kernel/cell/parser.ts";
import { rewriteCell } from "../../src/kernel/cell/rewrite.ts";
import { assert, assertEquals } from "../../testing/assert.ts";

function parsed(code: string): ParsedCell {
  const cell = parseCell(code);
  assert("statements" in cell, JSON.stringify(cell));
  return cell;
}

const BRIDGE = "__attune_kernel__";
const CATCH = /\}catch\(error\)\{throw K\.failed\(error,\d+\)\}/g;
/** With short names for what is inserted everywhere. */
const shortened = (code: string) =>
  rewriteCell(code, parsed(code), 7).code
    .replace(/const __attune_waits__=typeof .*?:__attune_kernel__;/g, "D;").replaceAll(
      "__attune_waits__",
      "w",
    )
    .replaceAll(`(typeof ${BRIDGE}==="undefined"?v=>v:${BRIDGE}.awaiting)`, "W")
    .replaceAll(`(typeof ${BRIDGE}==="undefined"?v=>v:${BRIDGE}.iterating)`, "I").replaceAll(BRIDGE, "K")
    .replaceAll(CATCH, "C").replace("void K.enter(7);", "E;").replace("\n//# sourceURL=attune-cell-7", "");

Deno.test("cell: awaits wait by way of the kernel, values and errors are handed over, and nothing else changes", async (t) => {
  const cases: readonly (readonly [code: string, expected: string])[] = [
    ["await f(await g())", "E;try{K.value((await W(f(await W(g(),1)),1)))C"],
    ["for await (const x of y()) z(x)", "E;try{for await (const x of I(y(),1)) z(x)C;void 0;"],
    ["if (a) b;", "E;try{if (a) b;C;void 0;"],
    ["{a: 1};", "E;try{{a: 1}C;;void 0;"],
    ["const enum A { B }", "E; enum A { B }"],
    ["#!/bin/deno\n5", "///bin/deno\nE;try{K.value((5))C"],
    [
      "const f = async () => { await (1, 2) }",
      "E;const f = async () => {D; w.out(w.end(await (w.begin((1, 2),3)))||await w.rest()) }",
    ],
    [
      "const g = async x => ({ a: await x })",
      "E;const g = async x => {D;return(({ a: w.out(w.end(await w.begin(x,3))||await w.rest()) }))}",
    ],
    [
      'async function h() { "use strict"\n await a }',
      'E;async function h() { "use strict";D;\n w.out(w.end(await w.begin(a,3))||await w.rest()) }',
    ],
    [
      "f(async () => await b)",
      "E;try{K.value((f(async () => {D;return(w.out(w.end(await w.begin(b,3))||await w.rest()))})))C",
    ],
    ["await (a, await b)", "E;try{K.value((await (W((a, await W(b,1)),1))))C"],
    ["{a: 1}", "E;try{K.value(({a: 1}))C"],
    ["{a: await b}", "E;try{K.value(({a: await W(b,1)}))C"],
    ["{ let a = 1; a }", "E;try{{ let a = 1; a }C"],
    ["f();g()", "E;try{f();Ctry{K.value((g()))C"],
    ["g();", "E;try{K.hidden((g()));C"],
    ['"text"', 'E;try{K.value(("text"))C'],
    ["// only words", "// only words"],
    ["", ""],
    ["// words\nlet x = <T,>(y: T) => y", "// words\nE;let x = <T,>(y: T) => y"],
    ["let y = <number>z", "E;let y = K.guard(()=>(<number>z),8)"],
    ["const a = 1, b = f(2)", "E;const a = 1, b = K.guard(()=>(f(2)),17)"],
    ["/** @jsx h */ <b>{await x}</b>", "/** @jsx h */ E;try{K.value((<b>{await W(x,1)}</b>))C"],
    ["await x as number; await y!", "E;try{await W(x,1) as number;C try{K.value((await W(y!,1)))C"],
    [
      "const s = `await ${await t}`; // await u",
      "E;try{K.keep( `await ${await W(t,1)}`)Cconst s=K.kept(); // await u",
    ],
    [
      "export let a: A =\n(await b)\n1",
      "E;try{K.keep(\n(await W(b,1)))Cexport let a: A=K.kept()\ntry{K.value((1))C",
    ],
    [
      "const { a } = await b, c = await d",
      "E;const { a } = await K.guardAsync(async()=>(await W(b,1)),14), c = await K.guardAsync(async()=>(await W(d,1)),27)",
    ],
    ["await using r = open()", "E;await using r = K.guard(()=>(open()),16)"],
    ["import.meta.url", "E;try{K.value((K.meta.url))C"],
    ['import type { A } from "a";', "E;;"],
    ['import "a"', 'E;await K.importing(()=>import("a"),"a",[],0);'],
    [
      'import d, { a as b, type T } from "m" with { type: "json" }',
      'E;const {"default":d,"a":b}=await K.importing(()=>import("m",{with:{"type":"json"}}),"m",["default","a"],0);',
    ],
    [
      'import d, * as all from "m"',
      'E;const all=await K.importing(()=>import("m"),"m",["default"],0),{"default":d}=all;',
    ],
    ['import {\n a } from "m"', 'E;const {"a":a}=await K.importing(()=>import("m"),"m",["a"],0);\n'],
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
  for (
    const code of [
      "const x = {",
      "f(",
      "`a ${b}",
      "/* a",
      "1 +",
      "class A {",
      "if (a) {\n b",
      "try {}",
      "try { f() }\n",
    ]
  ) {
    assertEquals(unfinished(code), true, code);
  }
  for (const code of ["let = = 3", "f)", "return 1", "const 1 = 2", '"abc', "'abc\n", "try {} 1"]) {
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
  assertEquals(expressionAt(code, code.length).expression, "live.setKey");
  assertEquals(expressionAt("f(g(1), h(2), ", 14), { expression: "f", end: 1 });
  assertEquals(expressionAt("a.b.c", 3), { expression: "a.b", end: 3 });
  assertEquals(expressionAt("1 + ", 4).expression, "");
  assertEquals(completionAt("x = live.se", 11), { object: "live", prefix: "se", within: "code" });
  assertEquals(completionAt("maybe?.na", 9), { object: "maybe", prefix: "na", within: "code" });
  assertEquals(completionAt("x = li", 6), { object: null, prefix: "li", within: "code" });
  assertEquals(completionAt('rows[0]["fi', 11), { object: "rows[0]", prefix: "fi", within: "key" });
  assertEquals(completionAt("rows?.['we ird", 14), { object: "rows", prefix: "we ird", within: "key" });
  assertEquals(completionAt('["fi', 4), { object: null, prefix: "fi", within: "literal" });
});

Deno.test("cell: texts, comments and patterns are told apart from code", () => {
  const kinds = (code: string) => literalAt(code, code.length)?.kind ?? "code";
  for (
    const code of [
      "",
      "a",
      `"a"`,
      `"a" + b`,
      "`a`",
      "`${",
      "`${a}` + ",
      "`${ { b: 1 } } ${c",
      "/a/",
      "a / b",
      "/* a */ b",
      "// a\nb",
      `/"/.test(a`,
      `"\\""`,
      "'",
    ].filter((code) => code !== "'")
  ) {
    assertEquals(kinds(code), "code", code);
  }
  for (const code of [`"a`, "'a b", "`a", "`${a} b", "`${`c", `f("`, `"a\\"`, "`a\nb"]) {
    assertEquals(kinds(code), "text", code);
  }
  for (const code of ["// a", "/* a", "a // b", "/* a\n"]) assertEquals(kinds(code), "comment", code);
  for (const code of ["/a", "x = /[/]", "f(/a\\/"]) assertEquals(kinds(code), "pattern", code);
});
