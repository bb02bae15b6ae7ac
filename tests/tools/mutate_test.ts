// The command that changes sources: what it takes for a place, which tests it runs, and that a survivor is one.

import { assert, assertEquals, assertMatch, assertThrows } from "../../testing/assert.ts";
import { parseArguments } from "../../tools/mutate/arguments.ts";
import { linesIn } from "../../tools/mutate/baseline.ts";
import { main } from "../../tools/mutate/main.ts";
import { applyMutation, mutationsOf } from "../../tools/mutate/mutations.ts";
import { ImportGraph } from "../../tools/mutate/reach.ts";
import { summary } from "../../tools/mutate/report.ts";
import { drawMutants, findMutants } from "../../tools/mutate/sources.ts";
import { TreeCopy } from "../../tools/mutate/tree_copy.ts";
import { Trials } from "../../tools/mutate/trial.ts";

const ROOT = new URL("../../", import.meta.url);

/** All sources that one change makes of one, with the kind of change. */
function changed(source: string): string[] {
  return mutationsOf(source).map((mutation) => `${mutation.kind}: ${applyMutation(source, mutation)}`);
}

Deno.test("mutate: operators, constants, conditions, calls and arguments are changed, one at a time", () => {
  assertEquals(changed("x = a + (b) * 2;"), [
    "operator: x = a - (b) * 2;",
    "operator: x = a + (b) / 2;",
    "constant: x = a + (b) * 3;",
  ]);
  assertEquals(changed("if (a < b) f(a, b);"), [
    "condition: if (false) f(a, b);",
    "condition: if (true) f(a, b);",
    "operator: if (a <= b) f(a, b);",
    "dropped: if (a < b) ;",
    "swapped: if (a < b) f(b, a);",
  ]);
  assertEquals(changed("const y = a ?? -0.5;"), [
    "operator: const y = a;",
    "operator: const y = a ?? 0.5;",
    "constant: const y = a ?? -1;",
  ]);
  assertEquals(changed("() => { return!a || Math.max(a, b); }"), [
    "operator: () => { return a || Math.max(a, b); }",
    "operator: () => { return!a && Math.max(a, b); }",
    "operator: () => { return!a || Math.min(a, b); }",
  ]);
  assertEquals(changed("class A { b() { this.x += 1; void this.c(); } }"), [
    "dropped: class A { b() { ; void this.c(); } }",
    "operator: class A { b() { this.x -= 1; void this.c(); } }",
    "constant: class A { b() { this.x += 2; void this.c(); } }",
    "dropped: class A { b() { this.x += 1; ; } }",
  ]);
});

Deno.test("mutate: types, comments, texts, imports and words of errors are left alone", () => {
  for (
    const source of [
      "type A = 1 | 2;",
      "// 1 + 2",
      "const text = 'a + 1';",
      "import { a } from './1.ts';",
      "function f(): 0 | 1 {}",
      "throw new RangeError(`${a + 1}`, 2);",
      "let a: Map<1, 2>;",
    ]
  ) {
    assertEquals(changed(source), [], source);
  }
  assertEquals(changed("const a = (b as 1) + c!;"), ["operator: const a = (b as 1) - c!;"]);
});

Deno.test("mutate: every change of every source can be read", async () => {
  const paths = ["src/write/newest_rows.ts", "src/numerics/score_rule.ts"];
  const mutants = await findMutants(ROOT, [...paths, "src/numerics/reference.ts", "tests/x.ts"], []);
  assertEquals(new Set(mutants.map(({ path }) => path)), new Set(paths));
  const texts = new Map<string, string>();
  for (const path of paths) texts.set(path, await Deno.readTextFile(new URL(path, ROOT)));
  for (const mutant of mutants) {
    const before = texts.get(mutant.path)!, after = applyMutation(before, mutant);
    assert(after !== before, `${mutant.path}:${mutant.line}`);
    mutationsOf(after);
    assert(
      before.split("\n")[mutant.line - 1].includes(before.slice(mutant.start, mutant.end).split("\n")[0]),
    );
  }
  const { path, line } = mutants[0];
  const there = await findMutants(ROOT, paths, [{ path, line }]);
  assertEquals(there, mutants.filter((mutant) => mutant.path === path && mutant.line === line));
});

Deno.test("mutate: a seed draws the same mutants again, and another seed others", () => {
  const mutants = mutationsOf("f(1, 2, 3, 4, 5, 6, 7, 8, 9);").map((mutation) => ({
    path: "a.ts",
    ...mutation,
  }));
  assertEquals(drawMutants(mutants, 5, 1), drawMutants(mutants, 5, 1));
  assert(JSON.stringify(drawMutants(mutants, 5, 1)) !== JSON.stringify(drawMutants(mutants, 5, 2)));
  assertEquals(new Set(drawMutants(mutants, 99, 3)), new Set(mutants));
});

Deno.test("mutate: the imports of this repository lead to its sources", async () => {
  const graph = await ImportGraph.of(ROOT, [
    "tests/write/edit_log_test.ts",
    "tests/write/slot_table_test.ts",
  ]);
  const distances = graph.distancesTo("src/write/edit_log.ts");
  assertEquals(distances.get("tests/write/edit_log_test.ts"), 1);
  assert(graph.reachedFrom("tests/write/edit_log_test.ts").includes("src/base/errors.ts"));
  // Of a module that gives types alone nothing is run.
  assertEquals(graph.distancesTo("src/backends/backend.ts").get("src/write/edit_log.ts"), undefined);
});

Deno.test("mutate: lines with a count are those that run", () => {
  const lcov =
    "SF:/tree/src/a.ts\nFN:1,f\nDA:1,1\nDA:2,0\nDA:3,7\nend_of_record\nSF:/tree/src/b.ts\nDA:4,2\n";
  assertEquals(linesIn(lcov, "/tree/"), { "src/a.ts": [1, 3], "src/b.ts": [4] });
});

Deno.test("mutate: arguments", () => {
  const { places, exceptions, tests, ...numbers } = parseArguments(
    [
      "--count=3",
      "--seed=4",
      "--file=src/a.ts:12",
      "--file=./src/b",
      "--except=src/c",
      "--tests=tests/a",
      "--jobs=2",
      "--limit=9",
      "--list",
    ],
  );
  assertEquals(places, [{ path: "src/a.ts", line: 12 }, { path: "src/b", line: null }]);
  assertEquals([exceptions, tests], [["src/c"], ["tests/a"]]);
  assertEquals(numbers, { count: 3, seed: 4, jobs: 2, limitSeconds: 9, list: true, help: false });
  for (const arg of ["--count=0", "--count=x", "--file", "--other=1", "src/a.ts"]) {
    assertThrows(() => parseArguments([arg]), RangeError);
  }
});

Deno.test("mutate: survivors are a table, with the place of the change", () => {
  const [mutant] = mutationsOf("a || b;").map((mutation) => ({ path: "src/a.ts", ...mutation }));
  const verdict = { mutant, killer: null, failure: null, run: 2, reaching: 3, seconds: 1 };
  assertEquals(summary([verdict, { ...verdict, killer: "tests/a_test.ts" }]).split("\n").slice(2), [
    "| src/a.ts | 1 | `a \\|\\| b` → `a && b` | 2 of 3 |",
    "",
    "1 of 2 mutants were killed",
  ]);
});

Deno.test("mutate: the time that tests take to be measured is none of the first mutant's", async () => {
  const folder = await Deno.makeTempDir({ prefix: "attune-" }), root = new URL(`file://${folder}/`);
  await Deno.writeTextFile(new URL("deno.json", root), FILES["deno.json"]);
  await Deno.writeTextFile(new URL("a.ts", root), "x = 1;");
  const [mutant] = mutationsOf("x = 1;").map((mutation) => ({ path: "a.ts", ...mutation }));
  await using copy = await TreeCopy.of(root, ["a.ts"]);
  const graph = await ImportGraph.of(root, []), { now } = performance;
  // A clock that nothing but the measuring moves.
  let milliseconds = 0;
  const measure = () => {
    milliseconds += 300;
    return Promise.resolve([]);
  };
  const trials = new Trials(measure, graph, 0.2, new AbortController().signal);
  performance.now = () => milliseconds;
  try {
    const { seconds } = await trials.try(mutant, copy);
    // Tests without a device are looked for, then those with one.
    assertEquals([seconds, milliseconds], [0, 600]);
  } finally {
    performance.now = now;
  }
  await Deno.remove(folder, { recursive: true });
});

const FILES: Readonly<Record<string, string>> = {
  "deno.json": `{ "lock": false }`,
  "locks/development.lock": `{ "version": "5" }`,
  "src/engine/sum.ts": "export function sum(a: number, b: number) {\n  return a + b;\n}\n" +
    "export function idle() {\n  return 1;\n}\n",
  "src/engine/alone.ts": "export const alone = 1;\n",
  "tests/sum_test.ts": `import { sum } from "../src/engine/sum.ts";
Deno.test("sum", () => { if (sum(1, 2) !== 3) throw new Error("no sum"); });\n`,
  "tests/red_test.ts": `import "../src/engine/sum.ts";
Deno.test("always red", () => { throw new Error("red"); });\n`,
  "tests/other_test.ts": `Deno.test("other", () => {});\n`,
};

Deno.test("mutate: what a test notices is killed, and what none runs or watches survives", async () => {
  const folder = await Deno.makeTempDir({ prefix: "attune-" });
  const root = new URL(`file://${folder}/`);
  for (const [path, text] of Object.entries(FILES)) {
    await Deno.mkdir(new URL(".", new URL(path, root)), { recursive: true });
    await Deno.writeTextFile(new URL(path, root), text);
  }
  await new Deno.Command("git", { args: ["init", "--quiet"], cwd: root }).output();
  const printed: string[] = [];
  const { log, error } = console;
  console.log = console.error = (text: string) => printed.push(text);
  let code: number;
  try {
    code = await main(["--count=9", "--limit=30"], root);
  } finally {
    console.log = log;
    console.error = error;
  }
  const text = printed.join("\n");
  assertEquals(code, 1);
  assertMatch(text, /sum\.ts:2 +operator +a \+ b → a - b +killed by tests\/sum_test\.ts: 1 failed/);
  assert(text.includes("| src/engine/sum.ts | 5 | `1` → `2` | 0 of 0 |"), text);
  assert(text.includes("| src/engine/alone.ts | 1 | `1` → `2` | 0 of 0 |"), text);
  assert(text.includes("tests/red_test.ts is left out: 1 failed"), text);
  assert(text.endsWith("1 of 3 mutants were killed"), text);
  const kept = await Deno.readTextFile(new URL("src/engine/sum.ts", root));
  assertEquals(kept, FILES["src/engine/sum.ts"]);
  await Deno.remove(folder, { recursive: true });
});
