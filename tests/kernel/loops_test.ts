// Loops whose awaits are stopped all at once: which they are, and that nothing tells the difference but the clock.

import { parseCell } from "../../src/kernel/cell/parser.ts";
import { rewriteCell } from "../../src/kernel/cell/rewrite.ts";
import { Cells } from "../../src/kernel/prelude/cells.ts";
import { assert, assertEquals } from "../../testing/assert.ts";

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A cell as it runs, with short names for what is inserted. */
function rewritten(code: string): string {
  const cell = parseCell(code);
  assert("statements" in cell, code);
  return rewriteCell(code, cell, 7).code
    .replaceAll(
      `await (typeof __attune_kernel__==="undefined"?w=>w({begin:v=>v,end:v=>v,over:v=>v,finish(){}}):__attune_kernel__.looping)(async(`,
      "L(",
    )
    .replaceAll(`(typeof __attune_kernel__==="undefined"?v=>v:__attune_kernel__.awaiting)`, "W")
    .replace(/const __attune_waits__=typeof .*?:__attune_kernel__;/g, "D;")
    .replace(
      /(__attune_\w+__)\.out\(\1\.end\(await \1\.begin\((.*?),\d+(,1)?\)\)\|\|await \1\.rest\(\)\)/g,
      "A($2$3)",
    )
    .replaceAll("__attune_loop_", "t").replace(/;t\d+\.finish\(\)/g, "").replaceAll(
      /\}catch\(error\)\{throw __attune_kernel__\.failed\(error,\d+\)\}/g,
      "C",
    )
    .replaceAll("void __attune_kernel__.enter(7);", "").replaceAll("try{", "")
    .replace("\n//# sourceURL=attune-cell-7", "").replace(/;void 0;$/, "");
}

Deno.test("a loop is one wait where nothing in it would see an error, and is left as it is elsewhere", async (t) => {
  const cases: readonly (readonly [code: string, expected: string])[] = [
    ["for (;;) await f()", "L(t0)=>{for (;;) t0.end(await t0.begin(f()))},1);C"],
    [
      "while (await a) { await (b, c) }",
      "L(t0)=>{while (t0.end(await t0.begin(a))) { t0.end(await (t0.begin((b, c)))) }},1);C",
    ],
    ["do await a; while (b);", "L(t0)=>{do t0.end(await t0.begin(a)); while (b);},1);C"],
    [
      "for (const x of await list()) await await x",
      "L(t0)=>{for (const x of t0.over(A(list(),1))) t0.end(await t0.begin(t0.end(await t0.begin(x))))},1);C",
    ],
    [
      "for (;;) { await a; for (const b of c) await b }",
      "L(t0)=>{for (;;) { t0.end(await t0.begin(a)); L(t1)=>{for (const b of t1.over(c)) t1.end(await t1.begin(b))},1); }},1);C",
    ],
    [
      "out: for (;;) for (;;) { await a; continue out }",
      "L(t0)=>{out: for (;;) for (;;) { t0.end(await t0.begin(a)); continue out }},1);C",
    ],
    [
      "const f = async () => { for (;;) await a }",
      "const f = async () => { L(t0)=>{for (;;) t0.end(await t0.begin(a))}); }",
    ],
    ["if (a) for (;;) await b; else c", "if (a) L(t0)=>{for (;;) t0.end(await t0.begin(b));},1); else cC"],
    ["for (;;) { try { await a } catch {} }", "for (;;) { try { A(a,1) } catch {} }C"],
    ["for (;;) { using a = b; await c }", "for (;;) { using a = b; A(c,1) }C"],
    ["for (var i = 0;;) await a", "for (var i = 0;;) A(a,1)C"],
    [
      "const f = async () => { for (;;) return await a }",
      "const f = async () => {D; for (;;) return A(a) }",
    ],
    [
      "out: for (;;) { a; for (;;) { await b; break out } }",
      "L(t0)=>{out: for (;;) { a; for (;;) { t0.end(await t0.begin(b)); break out } }},1);C",
    ],
    ["out: { for (;;) { await a; break out } }", "out: { for (;;) { A(a,1); break out } }C"],
    [
      "for (;;) list.map(async (x) => await x)",
      "for (;;) list.map(async (x) => {D;return(A(x))})C",
    ],
  ];
  for (const [code, expected] of cases) await t.step(code, () => assertEquals(rewritten(code), expected));
});

Deno.test("a loop gives what its awaits give, throws what they throw, and leaves nothing that a stop would find", async () => {
  const cells = new Cells();
  cells.enter(1);
  let sum = 0;
  await cells.looping(async (loop) => {
    for (let at = 0; at < 1000; at++) sum += loop.end(await loop.begin(Promise.resolve(at)) as number);
  });
  assertEquals([sum, cells.stop(1)], [499_500, 0]);
  const failing = new Cells();
  failing.enter(1);
  const failed = failing.looping(async (loop) => {
    for (;;) loop.end(await loop.begin(Promise.reject(new RangeError("inner"))));
  });
  assertEquals(await failed.catch(String), "RangeError: inner");
  assertEquals(failing.stop(1), 0);
});

Deno.test("a loop that is stopped ends once, and does nothing more when what it waited for comes", async () => {
  const cells = new Cells();
  cells.enter(1);
  const late = Promise.withResolvers<void>();
  let turns = 0;
  const running = cells.looping(async (loop) => {
    for (;;) {
      loop.end(await loop.begin(turns === 0 ? null : late.promise));
      turns++;
    }
  }, 1);
  await sleep(5);
  assertEquals([turns, cells.stop(1)], [1, 1]);
  assertEquals(await running.catch((error) => error.name), "Interrupted");
  late.resolve();
  await sleep(5);
  assertEquals([turns, cells.stop(2)], [1, 0]);
});
