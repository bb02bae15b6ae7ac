// The parts of the benchmark that do not measure: the command line, the plan, the targets, the limit's
// module.

import { fmaModule } from "../../bench/limit/fma_chain.ts";
import { signed, unsigned } from "../../bench/limit/wasm_module.ts";
import { parseOptions } from "../../bench/options.ts";
import { answerAfter, planSteps } from "../../bench/plan.ts";
import { candidates } from "../../bench/roster.ts";
import { reasonOf } from "../../bench/subjects/messages.ts";
import { AttuneSubject } from "../../bench/subjects/attune_subject.ts";
import { atLeast, atMost } from "../../bench/targets.ts";
import { leastFlops, shapeOf } from "../../bench/workload.ts";
import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";

Deno.test("the command line is read, and what is not known is refused", () => {
  const { quick, scale, shapes, subjects, output } = parseOptions([
    "--quick",
    "--shapes=128x256,4096x4096",
    "--subjects=array",
    "out.json",
  ]);
  assertEquals({ quick, scale, shapes, subjects, output }, {
    quick: true,
    scale: false,
    shapes: ["128x256", "4096x4096"],
    subjects: ["array"],
    output: "out.json",
  });
  for (const argument of ["--fast", "--shapes=big", "--subjects="]) {
    assertThrows(() => parseOptions([argument]), RangeError);
  }
});

Deno.test("the plan has every workload at the size of the targets, and only the shapes asked for", () => {
  const steps = planSteps({ quick: false, shapes: ["4096x4096"] });
  assert(steps.every(({ shape }) => shape.queryCount === 4096 && shape.keyCount === 4096));
  assertEquals(steps.filter(({ workload }) => workload.kind === "patch").length, 5);
  assert(steps.some(({ workload }) => JSON.stringify(workload) === JSON.stringify(answerAfter(64))));
});

Deno.test("every backend is measured, and a peer without threads says why", () => {
  const all = candidates(2, BACKENDS);
  for (const backend of BACKENDS) {
    assert(all.some(({ key }) => key.kind === "attune" && key.backend === backend && key.threads === 1));
  }
  assert(all.some(({ key, missing }) => key.threads === 2 && missing !== null));
  assert(candidates(1, BACKENDS).every(({ key, missing }) => key.threads === 1 && missing === null));
});

Deno.test("a target is met, missed, or not measured, and NaN never meets one", () => {
  assertEquals(atLeast("a", 2, 2, "×").verdict, "met");
  assertEquals(atLeast("a", 2, 1.9, "×").verdict, "missed");
  assertEquals(atMost("a", 2, 2.1, "×").verdict, "missed");
  assertEquals(atMost("a", 2, NaN, "×").verdict, "missed");
  assertEquals(atMost("a", 2, null, "×").verdict, "not measured");
});

Deno.test("arithmetic is counted by the formula", () => {
  assertEquals(leastFlops({ kind: "rebuild" }, shapeOf(10, 20)), 4 * 10 * 20 * 64);
  assertEquals(leastFlops({ kind: "patch", changes: 3 }, shapeOf(10, 20)), 4 * 10 * 3 * 64);
});

Deno.test("numbers in a module are LEB128", () => {
  assertEquals(unsigned(0x105), [0x85, 0x02]);
  assertEquals([signed(-1), signed(63), signed(64), signed(-65)], [[0x7f], [0x3f], [0xc0, 0x00], [
    0xbf,
    0x7f,
  ]]);
});

Deno.test("both chains of multiply-adds compute what they say", async () => {
  for (const form of ["fused", "separate"] as const) {
    const module = fmaModule(form);
    if (form === "fused" && !WebAssembly.validate(module)) continue;
    const { instance } = await WebAssembly.instantiate(module);
    const run = instance.exports.run as (turns: number) => number;
    // x → x/2 + 1 from 0, four steps a turn, in 12 chains.
    assertEquals(run(1), 12 * 1.875);
    assertEquals(run(100), 24);
  }
});

Deno.test("an engine is checked against the oracle after each kind of edit", async () => {
  const limits = { budgetMs: 1, warmUpMs: 1, leastRuns: 1 };
  for (const backend of BACKENDS) {
    const subject = new AttuneSubject(backend);
    for (const edit of ["key", "value", "entry", "slide"] as const) {
      const { error } = await subject.measure(shapeOf(20, 32), answerAfter(3, edit, "random"), limits);
      assert(error < 1e-6, `${backend} ${edit}`);
    }
    await subject.measure(shapeOf(20, 32), { kind: "patch", changes: 8 }, limits);
  }
});

Deno.test("a reason is one line that keeps its cause", () => {
  assertEquals(reasonOf(new Error("no such file\n  at somewhere")), "no such file");
  const long = reasonOf(
    new Error(`failed to run: /build/of/someone/safeint.h:17 ${"x".repeat(200)} Integer overflow`),
  );
  assert(
    long.startsWith("failed to run: safeint.h") && long.endsWith("Integer overflow") && long.length < 110,
  );
});
