// Cells that mean harm, or are only odd: whatever they show, throw or replace, the cell ends, says what there is to say,
// and the next cell runs.

import { stripVTControlCharacters } from "node:util";
import type { KernelProcess } from "../../src/kernel/kernel_process.ts";
import type { Message } from "../../src/kernel/protocol/message.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";

/** What a cell has led to, in words: its status, and each output. */
async function told(kernel: KernelProcess, code: string): Promise<string[]> {
  const { status, outputs } = await kernel.client.execute(code);
  return [status, ...outputs.map(wordsOf)];
}

function wordsOf({ header: { msg_type: type }, content }: Message): string {
  const plain = (text: unknown) => stripVTControlCharacters(String(text));
  if (type === "stream") return `${content.name}: ${plain(content.text).split("\n")[0]}`;
  if (type === "error") return `error: ${plain((content.traceback as string[])[0])}`;
  return plain((content.data as Record<string, string>)["text/plain"]);
}

/** Code, the status, and what its outputs begin with. */
type Case = readonly [code: string, status: string, ...outputs: string[]];

async function check(kernel: KernelProcess, t: Deno.TestContext, cases: readonly Case[]): Promise<void> {
  for (const [code, ...expected] of cases) {
    await t.step(code.slice(0, 100), async () => {
      const said = await told(kernel, code);
      assertEquals(said.map((text, at) => text.slice(0, expected[at]?.length ?? 80)), expected);
      assertEquals(await told(kernel, "6 * 7"), ["ok", "42"]);
    });
  }
}

const TRAPS = `get() { throw new Error("get") }, has() { throw new Error("has") },
  ownKeys() { throw new Error("keys") }, getPrototypeOf() { throw new Error("prototype") }`;

Deno.test("a value that does not let itself be shown is shown as text, and its error is told", async (t) => {
  await using kernel = await startProxy();
  await check(kernel, t, [
    [`({ get a() { throw new Error("getter") } })`, "ok", "{ a: [Getter] }"],
    [`[{ get a() { throw new Error("getter") } }]`, "ok", "[ { a: [Getter] } ]"],
    [`new Proxy({}, { ${TRAPS} })`, "ok", "stderr: Uncaught Error: has", "{}"],
    [`new Proxy([], { ${TRAPS} })`, "ok", "stderr: Uncaught Error: has", "[]"],
    [
      `{ const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); globalThis.gone = proxy } globalThis.gone`,
      "ok",
      "stderr: Uncaught TypeError: Cannot perform 'has'",
      "[it cannot be shown]",
    ],
    [
      `({ [Symbol.for("Jupyter.display")]: () => { throw new Error("display") } })`,
      "ok",
      "stderr: Uncaught Error: display",
      "{ Symbol(Jupyter.display)",
    ],
    [`({ [Symbol.for("Jupyter.display")]: () => null })`, "ok", "{ Symbol(Jupyter.display)"],
    [`({ [Symbol.for("Jupyter.display")]: () => ({ "text/plain": 5 }) })`, "ok", "5"],
    [
      `({ [Symbol.for("Jupyter.display")]: () => ({ "text/plain": "n", "x/y": 10n }) })`,
      "ok",
      "stderr: Uncaught TypeError: Do not know how to serialize a BigInt",
      "{ Symbol(Jupyter.display)",
    ],
    [
      `({ [Symbol.for("Deno.customInspect")]: () => { throw new Error("inspect") } })`,
      "ok",
      "stderr: Uncaught Error: inspect",
      "[object Object]",
    ],
    [`({ get then() { throw new Error("then") } })`, "ok", "{ then: [Getter] }"],
    [`const cycle: unknown[] = []; cycle.push(cycle); cycle`, "ok", "<ref *1> [ [Circular *1] ]"],
    [
      `const top = {}; let deep = top; for (let i = 0; i < 1e5; i++) deep = deep.x = {}; top`,
      "ok",
      "{\n  x: {",
    ],
    [`"y".repeat(2e7)`, "ok", '"yyyy'],
    [`new Array(1e6).fill({ a: 1 })`, "ok", "[\n  { a: 1 }"],
  ]);
  await t.step("bytes of a picture become base64, as messages hold them", async () => {
    const { outputs } = await kernel.client.execute(
      `({ [Symbol.for("Jupyter.display")]: () => ({ "text/plain": "p", "image/png": Uint8Array.of(1, 2, 3) }) })`,
    );
    assertEquals(outputs.map(({ content }) => content.data), [{ "text/plain": "p", "image/png": "AQID" }]);
  });
});

Deno.test("whatever is thrown, one error is told, and telling it throws nothing", async (t) => {
  await using kernel = await startProxy();
  await check(kernel, t, [
    [`throw new Proxy(new Error("inner"), { ${TRAPS} })`, "error", "error: Uncaught Error: inner"],
    [
      `{ const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy }`,
      "error",
      "error: Uncaught [what was thrown cannot be shown]",
    ],
    [`await ({ then() { throw new Error("then") } })`, "error", "error: Error: then"],
    [`await ({ get then() { throw new Error("then getter") } })`, "error", "error: Error: then getter"],
    [
      `const round = new Error("round"); round.cause = round; throw round`,
      "error",
      "error: <ref *1> Error: round",
    ],
    [
      `throw class extends Error { get stack() { throw 1 } get message() { throw 2 } get name() { throw 3 } }.prototype`,
      "error",
      "error: ",
    ],
    [
      `{ const error = new Error("x"); Object.defineProperty(error, "stack", { value: {} }); throw error }`,
      "error",
      "error: [Error: x",
    ],
    [`throw new Error("m".repeat(1e6))`, "error", "error: Error: mmmm"],
    [`throw null`, "error", "error: Uncaught null"],
    [`throw undefined`, "error", "error: Uncaught undefined"],
    [`throw Symbol("s")`, "error", "error: Uncaught Symbol(s)"],
    [`throw Object.create(null)`, "error", "error: Uncaught [Object: null prototype] {}"],
  ]);
  await t.step("errors within errors are all there", async () => {
    const { outputs } = await kernel.client.execute(
      `throw new AggregateError([new Error("first"), new AggregateError([new TypeError("deep", { cause: "why" })], "inner")], "outer")`,
    );
    const text = stripVTControlCharacters((outputs[0].content.traceback as string[]).join("\n"));
    for (const word of ["outer", "first", "inner", "deep", "why"]) assert(text.includes(word), word);
  });
});

Deno.test("letters that are split over chunks of bytes are shown whole, and halves of one harm nothing", async (t) => {
  await using kernel = await startProxy();
  const writes = (...bytes: number[][]) =>
    bytes.map((each) => `Deno.stdout.writeSync(Uint8Array.of(${each}));`).join(" ");
  await check(kernel, t, [
    [writes([0xf0, 0x9f], [0x98, 0x80]), "ok", "stdout: 😀"],
    [
      `process.stdout.write(Buffer.from("€").subarray(0, 2)); console.error("between"); process.stdout.write(Buffer.from("€").subarray(2));`,
      "ok",
      "stderr: between",
      "stdout: €",
    ],
    [writes([0xff, 0xfe, 65]), "ok", "stdout: ��A"],
    [`console.log("\\ud83d")`, "ok", "stdout: �"],
    [`"\\ud83d"`, "ok", '"�"'],
  ]);
});

Deno.test("a notebook that has a Symbol of its own, or replaces what is built in, goes on", async (t) => {
  await using kernel = await startProxy();
  await check(kernel, t, [
    ["class Symbol {}; 1", "ok", "1"],
    ["await 1; await (async () => { await 1; return 4 })()", "ok", "4"],
    [`import { join } from "node:path"; join("a", "b")`, "ok", '"a/b"'],
    ["globalThis.Symbol.for = () => null; 2", "ok", "2"],
    [`JSON.stringify = () => "broken"; 3`, "ok", "3"],
    [`console.log("goes on")`, "ok", "stdout: goes on"],
  ]);
});
