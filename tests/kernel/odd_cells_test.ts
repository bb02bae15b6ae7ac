// Cells that are rare and right, and mistakes that only the runtime finds: what they show is theirs, has its place, and
// says nothing of the code that the kernel puts in.

import { stripVTControlCharacters } from "node:util";
import type { KernelProcess } from "../../src/kernel/kernel_process.ts";
import type { Message } from "../../src/kernel/protocol/message.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";

/** The texts of all that a cell shows. */
function textsOf(outputs: readonly Message[]): string[] {
  return outputs.map(({ content }) => {
    const { text, traceback, data } = content as Record<string, unknown>;
    const lines = Array.isArray(traceback) ? traceback.join("\n") : null;
    const plain = (data as Record<string, string> | undefined)?.["text/plain"];
    return stripVTControlCharacters(String(lines ?? text ?? plain ?? ""));
  });
}

/** Code, all that it shows, joined; a `…` at the end of a text stands for more. */
type Case = readonly [code: string, shown: string];

async function check(kernel: KernelProcess, t: Deno.TestContext, cases: readonly Case[]): Promise<void> {
  for (const [code, expected] of cases) {
    await t.step(code.slice(0, 80), async () => {
      const { outputs } = await kernel.client.execute(code);
      const shown = textsOf(outputs).join("");
      if (expected.endsWith("…")) {
        assertEquals(shown.slice(0, expected.length - 1), expected.slice(0, -1));
      } else assertEquals(shown, expected);
    });
  }
}

Deno.test("an error names its place, whoever finds it, and all of the errors that it holds", async (t) => {
  await using kernel = await startProxy();
  await check(kernel, t, [
    [
      "throw new SuppressedError(new Error('a'), new SuppressedError(1, new Error('b')), 'both')",
      `SuppressedError: both
> 1 | throw new SuppressedError(new Error('a'), new SuppressedError(1, new Error('b')), 'both')
    |       ^
    at <cell 1>:1:7
  [error]: Error: a
      at <cell 1>:1:27
  [suppressed]: SuppressedError
      at <cell 1>:1:43
    [error]: 1
    [suppressed]: Error: b
        at <cell 1>:1:66`,
    ],
    [
      "setTimeout(() => {\n  null.x;\n}, 1); await new Promise((done) => setTimeout(done, 20));",
      `Uncaught TypeError: Cannot read properties of null (reading 'x')
  1 | setTimeout(() => {
> 2 |   null.x;
    |        ^
  3 | }, 1); await new Promise((done) => setTimeout(done, 20));
    at Timeout.<anonymous> (<cell 2>:2:8)
`,
    ],
    [
      `{ const own = new Error("own"); own[Symbol.for("Deno.customInspect")] = () => { throw 1 }; throw own }`,
      `Error: own\n> 1 | {…`,
    ],
    [
      "const { a1 } = (() => null)()",
      "TypeError: Cannot destructure property 'a1' of '(intermediate value)' as it…",
    ],
    ["for await (const x of 5);", "TypeError: number 5 is not async iterable\n> 1 | for await…"],
    [
      `const five = 5, six = five()`,
      `TypeError: five is not a function\n> 1 | const five = 5, six = five()\n    |                       ^\n    at <cell 6>:1:23`,
    ],
    [
      "const tag = <div>{1}</div>;",
      `ReferenceError: React is not defined\n> 1 | const tag = <div>{1}</div>;\n    |             ^\n    at <cell 7>:1:13`,
    ],
    [
      `import x from "node:fs" with { type: "json" }`,
      "TypeError: Expected a JSON module, but identified a JavaScript module.\n  Specifier: node:fs…",
    ],
    [
      "let one = 1;\nlet two = /(/",
      `SyntaxError: Invalid regular expression: /(/: Unterminated group\n  1 | let one = 1;\n> 2 | let two = /(/\n    |           ^\n    at <cell 9>:2:11`,
    ],
    ["const kept = 1;", ""],
    [
      "let kept = 2",
      `SyntaxError: Identifier 'kept' has already been declared\n> 1 | let kept = 2\n    |     ^\n    at <cell 11>:1:5

hint: kept was declared by "const" in cell 10, and can be declared again by "const" or "import" alone; or take another name, or restart the kernel`,
    ],
    ["const kept = 3\nkept", "3"],
    ["var again = 1; class Again {}", ""],
    [
      "function Again() {}",
      `SyntaxError: Identifier 'Again' has already been declared\n> 1 | function Again() {}\n    |          ^…`,
    ],
    [
      "const undefined = 5",
      `SyntaxError: Identifier 'undefined' has already been declared\n> 1 | const undefined = 5\n    |       ^\n    at <cell 15>:1:7`,
    ],
    [
      `/* ${"long ".repeat(30)} */ null.x; /* ${"long ".repeat(30)} */`,
      `TypeError: Cannot read properties of null (reading 'x')
> 1 | …g long long long long long long long  */ null.x; /* long long long long long long long long …
    |                                                ^…`,
    ],
    [
      "\nawait Promise.any([Promise.reject(new Error('a'))])",
      `AggregateError: All promises were rejected {
  [errors]: [
    Error: a
        at <cell 17>:2:35
  ]
}
  1 | 
> 2 | await Promise.any([Promise.reject(new Error('a'))])
    | ^
    at <cell 17>:2:1`,
    ],
    [
      `import vm from "node:vm"; throw vm.runInNewContext("new TypeError('far')")`,
      `TypeError: far
    at evalmachine.<anonymous>:1:1
> 1 | import vm from "node:vm"; throw vm.runInNewContext("new TypeError('far')")
    |                           ^
    at <cell 18>:1:27`,
    ],
    [
      `throw new (class extends Error { get name() { throw 1 } })("still told")`,
      `Error: still told\n> 1 | throw new (class extends Error { get name() { throw 1 } })("still told")\n    |       ^…`,
    ],
  ]);
});

Deno.test("what a cell has not asked for does not show, and what is declared stays", async (t) => {
  await using kernel = await startProxy();
  await check(kernel, t, [
    ["const list: number[] = []; for (let i = 0; i < 3; i++) list.push(i)", ""],
    ["if (list) list.length;", ""],
    ["if (list) list.length", "3"],
    ["{ a: 1 };", ""],
    ["{ a: 1 }", "{ a: 1 }"],
    [`export * from "node:path"`, ""],
    ["#!/usr/bin/env deno\nlist.length", "3"],
    ["const enum Constant { A = 3 }", ""],
    ["Constant.A", "3"],
    ["class Auto { accessor x = await 5 }", "SyntaxError: Unexpected reserved word…"],
    ["({ toDataURL: 5, toSpec: null })", "{ toDataURL: 5, toSpec: null }"],
  ]);
  await t.step("a picture has a text form, for a terminal", async () => {
    const { outputs } = await kernel.client.execute(`({ outerHTML: "<b>1</b>" })`);
    assertEquals(outputs.map(({ content }) => content.data), [{
      "text/plain": `{ outerHTML: "<b>1</b>" }`,
      "text/html": "<b>1</b>",
    }]);
  });
});

Deno.test("who listens for errors hears of them, and nobody else", async (t) => {
  await using kernel = await startProxy();
  const wait = "await new Promise((done) => setTimeout(done, 20));";
  await check(kernel, t, [
    [
      `var take = (event) => { event.preventDefault(); console.log("took", event.reason) };
       addEventListener("unhandledrejection", take); Promise.reject(1); ${wait}`,
      "took 1\n",
    ],
    [`removeEventListener("unhandledrejection", take); Promise.reject(2); ${wait}`, "Uncaught 2\n"],
    [
      `addEventListener("unhandledrejection", () => console.log("looked")); Promise.reject(3); ${wait}`,
      "looked\nUncaught 3\n",
    ],
    [
      `process.once("unhandledRejection", (reason) => console.log("node", reason)); Promise.reject(4); ${wait}`,
      "looked\nnode 4\n",
    ],
    [
      `process.once("uncaughtException", (error) => console.log("node", error.message)); setTimeout(() => { throw new Error("5") }); ${wait}`,
      "node 5\n",
    ],
    [
      `var takeError = (event) => event.preventDefault(); addEventListener("error", takeError); setTimeout(() => { throw 6 }); ${wait}`,
      "",
    ],
    [`removeEventListener("error", takeError); setTimeout(() => { throw 7 }); ${wait}`, "Uncaught 7\n"],
  ]);
});

Deno.test("whatever is written by the number of a stream is shown, and no half of a letter moves on", async (t) => {
  await using kernel = await startProxy();
  await check(kernel, t, [
    ["Deno.stdout.writeSync(Uint8Array.of(226, 130));", ""],
    [`process.stdout.write("whole\\n");`, "whole\n"],
    [`await new Response("piped\\n").body!.pipeTo(Deno.stdout.writable)`, "piped\n"],
    [`await new Response("again\\n").body!.pipeTo(Deno.stdout.writable)`, "again\n"],
    [
      `import fs, { appendFileSync, writeFileSync } from "node:fs"; import { promisify } from "node:util";`,
      "",
    ],
    [
      `writeFileSync(1, "a"); appendFileSync(1, Buffer.from("b")); fs.writevSync(1, [Buffer.from("c"), Buffer.from("d\\n")]);`,
      "abcd\n",
    ],
    [
      `await new Promise((done) => fs.write(2, "e\\n", (error, count) => done(console.log(error, count))));`,
      "e\nnull 2\n",
    ],
    [`await new Promise((done) => fs.writeFile(1, "f\\n", done));`, "f\n"],
    [`await new Promise((done) => fs.createWriteStream("", { fd: 1 }).end("g\\n", done));`, "g\n"],
    [
      `var file = Deno.makeTempFileSync(); var open = fs.openSync(file, "w");
       fs.writeSync(open, "xyz", 0); fs.writeFileSync(file + "2", "2"); await promisify(fs.write)(open, "w"); fs.closeSync(open);
       console.log(fs.readFileSync(file, "utf8") + fs.readFileSync(file + "2", "utf8")); Deno.removeSync(file); Deno.removeSync(file + "2");`,
      "xyzw2\n",
    ],
    [
      `const lines = (await import("node:readline")).createInterface({ input: (await import("node:stream")).Readable.from(["h\\n"]) });
       lines.on("line", (line) => console.log("heard", line)); await new Promise((done) => lines.on("close", done));`,
      "heard h\n",
    ],
  ]);

  await t.step("a flood of errors that nobody catches arrives whole", async () => {
    const { outputs } = await kernel.client.execute(
      `for (let i = 0; i < 500; i++) Promise.reject(new Error("e" + i)); await new Promise((done) => setTimeout(done, 50));`,
    );
    const text = textsOf(outputs).join("");
    assertEquals([...text.matchAll(/Uncaught Error: e\d+\n> 1 \|/g)].length, 500);
    assert(outputs.length < 100, String(outputs.length));
  });
});
