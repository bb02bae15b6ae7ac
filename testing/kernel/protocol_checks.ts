// What a front end may expect of a kernel, by the messaging protocol of Jupyter, as checks that run against any: each is
// given a kernel that was just started, and throws when it does not do as it should.

import { stripVTControlCharacters } from "node:util";
import type { KernelProcess } from "../../src/kernel/kernel_process.ts";
import type { Message } from "../../src/kernel/protocol/message.ts";
import { assert, assertEquals, assertGreater } from "../assert.ts";

/** A check. */
export interface ProtocolCheck {
  readonly name: string;
  readonly run: (kernel: KernelProcess, heard: readonly Message[]) => Promise<void>;
}

const typesOf = (messages: readonly Message[]) => messages.map(({ header }) => header.msg_type);
const textOf = ({ content }: Message) =>
  String((content.data as Record<string, unknown> | undefined)?.["text/plain"]);
const streamed = (messages: readonly Message[], name: string) =>
  messages.filter(({ header, content }) => header.msg_type === "stream" && content.name === name)
    .map(({ content }) => content.text).join("");
/** Without colours. */
const plain = (text: string) => stripVTControlCharacters(text);
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Resolves when something is so, or throws after some seconds. */
export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  seconds = 20,
): Promise<void> {
  for (const until = performance.now() + 1000 * seconds; performance.now() < until; await sleep(20)) {
    if (await isSo()) return;
  }
  throw new Error(`${what} did not come to be`);
}

/** Runs a cell, stops it once it shows that it has begun, and says how it ended. */
async function stopped(kernel: KernelProcess, code: string): Promise<string> {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const mark = `Deno.jupyter.broadcast("display_data", { data: { "text/plain": "begun" }, metadata: {} }); `;
  const running = kernel.client.execute(mark + code, { onOutput: () => resolve() });
  await begun;
  await sleep(50);
  await kernel.client.request("interrupt_request", {}, "control");
  return (await running).status;
}

/** All of them. */
export const PROTOCOL_CHECKS: readonly ProtocolCheck[] = [
  {
    name: "kernel_info",
    run: async ({ client }) => {
      const { content } = await client.request("kernel_info_request");
      assertEquals(content.status, "ok");
      assert(String(content.protocol_version).startsWith("5."));
      assertEquals((content.language_info as { name: string }).name, "typescript");
      assertEquals((await client.request("kernel_info_request", {}, "control")).content.status, "ok");
    },
  },
  { name: "heartbeat", run: async ({ client }) => assertEquals(await client.ping(5000), true) },
  {
    name: "execute: result, number, state",
    run: async ({ client }) => {
      const first = await client.execute("let kept = 41; kept");
      assertEquals([first.status, first.executionCount, typesOf(first.outputs)], ["ok", 1, [
        "execute_result",
      ]]);
      const second = await client.execute("kept + 1");
      assertEquals([second.executionCount, plain(textOf(second.outputs[0]))], [2, "42"]);
    },
  },
  {
    name: "execute: code is told to all",
    run: async ({ client }, heard) => {
      await client.execute("1 + 1");
      await eventually(
        "execute_input",
        () => heard.some(({ header }) => header.msg_type === "execute_input"),
      );
      const [input] = heard.filter(({ header }) => header.msg_type === "execute_input");
      assertEquals([input.content.code, input.content.execution_count], ["1 + 1", 1]);
    },
  },
  {
    name: "execute: silent",
    run: async ({ client }, heard) => {
      const { outputs, status } = await client.execute("7", { silent: true });
      assertEquals([status, outputs.length], ["ok", 0]);
      await sleep(100);
      assertEquals(heard.filter(({ header }) => header.msg_type === "execute_input").length, 0);
    },
  },
  {
    name: "streams, in order",
    run: async ({ client }) => {
      const { outputs } = await client.execute(`console.log("a"); console.error("b"); console.log("c")`);
      assertEquals(
        outputs.map(({ content }) => `${content.name}:${String(content.text).trim()}`).join(" "),
        "stdout:a stderr:b stdout:c",
      );
    },
  },
  {
    name: "what is written to stdout itself",
    run: async ({ client }) => {
      const { outputs } = await client.execute(
        `Deno.stdout.writeSync(new TextEncoder().encode("direct\\n"))`,
      );
      assertEquals(streamed(outputs, "stdout"), "direct\n");
    },
  },
  {
    name: "error",
    run: async ({ client }) => {
      const { status, outputs, reply } = await client.execute(`throw new TypeError("no")`);
      assertEquals([status, typesOf(outputs)], ["error", ["error"]]);
      assertEquals([outputs[0].content.ename, outputs[0].content.evalue, reply.ename], [
        "TypeError",
        "no",
        "TypeError",
      ]);
    },
  },
  {
    name: "error of syntax says what is wrong",
    run: async ({ client }) => {
      const { status, outputs } = await client.execute("let = = 3");
      assertEquals([status, typesOf(outputs)], ["error", ["error"]]);
    },
  },
  {
    name: "stop_on_error: what waits is aborted",
    run: async ({ client }) => {
      const cells = await Promise.all([
        client.execute(`await new Promise((resolve) => setTimeout(resolve, 200)); throw new Error("first")`),
        client.execute("globalThis.wasRun = true"),
      ]);
      assertEquals(cells.map(({ status }) => status), ["error", "aborted"]);
      assertEquals(
        plain(textOf((await client.execute("String(globalThis.wasRun)")).outputs[0])),
        '"undefined"',
      );
    },
  },
  {
    name: "stdin",
    run: async ({ client }) => {
      const answers = await client.execute(`prompt("who?") + confirm("sure?")`, {
        onInput: (prompt) => prompt.includes("who") ? "me" : "y",
      });
      assertEquals(plain(textOf(answers.outputs[0])), '"metrue"');
      assertEquals((await client.execute(`prompt("nobody?")`)).status, "ok");
    },
  },
  {
    name: "display_data and update_display_data",
    run: async ({ client }) => {
      const { outputs } = await client.execute(
        `await Deno.jupyter.display({ "text/plain": "1" }, { raw: true, display_id: "d" });
         await Deno.jupyter.display({ "text/plain": "2" }, { raw: true, display_id: "d", update: true });`,
      );
      assertEquals(typesOf(outputs), ["display_data", "update_display_data"]);
      assertEquals(outputs.map(textOf), ["1", "2"]);
      assertEquals(outputs.map(({ content }) => (content.transient as { display_id: string }).display_id), [
        "d",
        "d",
      ]);
    },
  },
  {
    name: "clear_output",
    run: async ({ client }) => {
      const { outputs } = await client.execute(
        `await Deno.jupyter.broadcast("clear_output", { wait: true })`,
      );
      assertEquals([typesOf(outputs), outputs[0].content.wait], [["clear_output"], true]);
    },
  },
  {
    name: "outputs come before the idle (60 cells)",
    run: async ({ client }) => {
      let late = 0, lost = 0;
      for (let cell = 0; cell < 60; cell++) {
        const mark = `mark ${cell}.`;
        const result = await client.execute(
          `Deno.jupyter.broadcast("display_data", { data: { "text/plain": "${mark}" + " ".repeat(${
            cell % 20 === 0 ? 2 ** 20 : 0
          }) }, metadata: {} })`,
        );
        late += result.late;
        if (!result.outputs.some((output) => textOf(output).startsWith(mark))) lost++;
      }
      assertEquals({ late, lost }, { late: 0, lost: 0 });
    },
  },
  {
    name: "complete",
    run: async ({ client }) => {
      await client.execute("const basket = { inner: 1 }");
      const complete = async (code: string) =>
        (await client.request("complete_request", { code, cursor_pos: [...code].length })).content;
      assert(((await complete("bask")).matches as string[]).includes("basket"));
      const { matches, cursor_start: start, cursor_end: end } = await complete("'😀', basket.in");
      assertEquals([matches, start, end], [["inner"], 12, 14]);
    },
  },
  {
    name: "complete runs no getter",
    run: async ({ client }) => {
      await client.execute("let ran = 0; const trap = { get inner() { ran++; return { deep: 1 } } }");
      for (const code of ["trap.", "trap.inner.", "ran++; trap.inner.d"]) {
        await client.request("complete_request", { code, cursor_pos: code.length });
      }
      assertEquals(plain(textOf((await client.execute("ran")).outputs[0])), "0");
    },
  },
  {
    name: "inspect",
    run: async ({ client }) => {
      await client.execute(
        "/** Adds two numbers. */\nfunction add(a: number, b = 3) { return a + b }\nvar it = { x: 1 }",
      );
      const inspect = async (code: string) => {
        const { content } = await client.request("inspect_request", {
          code,
          cursor_pos: code.length,
          detail_level: 0,
        });
        return String((content.data as Record<string, string>)["text/plain"]);
      };
      const shown = await inspect("add(1, ");
      assert(shown.includes("function add(a, b = 3)") && shown.includes("Adds two numbers."), shown);
      assert((await inspect("it")).includes("x: 1"));
      const { content } = await client.request("inspect_request", {
        code: "nowhere",
        cursor_pos: 7,
        detail_level: 0,
      });
      assertEquals([content.status, content.found], ["ok", false]);
    },
  },
  {
    name: "history",
    run: async ({ client }) => {
      for (const code of ["1", "2", "3"]) await client.execute(code);
      await client.execute("4", { silent: true });
      const ask = async (content: Record<string, unknown>) =>
        ((await client.request("history_request", { output: false, raw: true, ...content })).content
          .history as unknown[][]).map(([, line, source]) => [line, source]);
      assertEquals(await ask({ hist_access_type: "tail", n: 2 }), [[2, "2"], [3, "3"]]);
      assertEquals(await ask({ hist_access_type: "range", session: 0, start: 1, stop: 2 }), [[1, "1"]]);
      assertEquals((await ask({ hist_access_type: "search", pattern: "*3*" })).at(-1), [3, "3"]);
    },
  },
  {
    name: "user_expressions",
    run: async ({ client }) => {
      const { content } = await client.request("execute_request", {
        ...{ code: "let a = 1", silent: false, store_history: true, allow_stdin: false, stop_on_error: true },
        user_expressions: { sum: "a + 1", wrong: "nowhere.to" },
      });
      const { sum, wrong } = content.user_expressions as Record<
        string,
        { status: string; data: { "text/plain": string } }
      >;
      assertEquals([sum.status, plain(sum.data["text/plain"]), wrong.status], ["ok", "2", "error"]);
    },
  },
  {
    name: "is_complete",
    run: async ({ client }) => {
      const statusOf = async (code: string) =>
        (await client.request("is_complete_request", { code })).content.status;
      assertEquals(await statusOf("1 + 1"), "complete");
      assertEquals(await statusOf("for (const x of y) {"), "incomplete");
      assertEquals(await statusOf("`a ${b"), "incomplete");
      assertEquals(await statusOf("1 +"), "incomplete");
      assertEquals(await statusOf("let = = 3"), "invalid");
    },
  },
  {
    name: "comm: the front end speaks, with buffers",
    run: async ({ client }, heard) => {
      await client.execute(
        `const bridge = globalThis[Symbol.for("attune.kernel")];
         bridge.registerTarget("echo", (comm, { data, buffers }) => {
           comm.onMessage = ({ data, buffers }) => comm.send({ back: data }, { buffers });
           comm.send({ opened: data }, { buffers });
         }); 0`,
      );
      const id = crypto.randomUUID();
      await client.tell("comm_open", { comm_id: id, target_name: "echo", data: { n: 0 } }, {
        buffers: [Uint8Array.of(1)],
      });
      for (let n = 1; n <= 3; n++) {
        await client.tell("comm_msg", { comm_id: id, data: { n } }, {
          buffers: [Uint8Array.of(n), new Uint8Array(n)],
        });
      }
      const answers = () =>
        heard.filter(({ header, content }) => header.msg_type === "comm_msg" && content.comm_id === id);
      await eventually("four answers", () => answers().length === 4);
      assertEquals(answers().map(({ content }) => content.data), [
        { opened: { n: 0 } },
        ...[1, 2, 3].map((n) => ({ back: { n } })),
      ]);
      assertEquals(answers().map(({ buffers }) => buffers.map((buffer) => buffer.length)), [[1], [1, 1], [
        1,
        2,
      ], [1, 3]]);
      const { comms } = (await client.request("comm_info_request")).content;
      assertEquals(comms, { [id]: { target_name: "echo" } });
      await client.tell("comm_close", { comm_id: id, data: {} });
      await eventually(
        "an empty list",
        async () =>
          Object.keys((await client.request("comm_info_request")).content.comms as object).length === 0,
      );
    },
  },
  {
    name: "comm: a kind that nobody takes is closed",
    run: async ({ client }, heard) => {
      await client.tell("comm_open", { comm_id: "x", target_name: "nobody", data: {} });
      await eventually(
        "comm_close",
        () =>
          heard.some(({ header, content }) => header.msg_type === "comm_close" && content.comm_id === "x"),
      );
    },
  },
  {
    name: "interrupt: an await",
    run: async (kernel) => {
      await kernel.client.execute("let turns = 0");
      assertEquals(
        await stopped(
          kernel,
          "while (true) { turns++; await new Promise((resolve) => setTimeout(resolve, 2)) }",
        ),
        "error",
      );
      assertGreater(Number(plain(textOf((await kernel.client.execute("turns")).outputs[0]))), 0);
    },
  },
  {
    name: "interrupt: a loop that computes",
    run: async (kernel) => {
      await kernel.client.execute("let turns = 0");
      assertEquals(await stopped(kernel, "while (true) turns++"), "error");
      assertGreater(Number(plain(textOf((await kernel.client.execute("turns")).outputs[0]))), 0);
    },
  },
  {
    name: "interrupt: a loop that computes, after an await",
    run: async (kernel) => {
      await kernel.client.execute("let turns = 0");
      assertEquals(
        await stopped(kernel, "await new Promise((resolve) => setTimeout(resolve, 2)); while (true) turns++"),
        "error",
      );
      assertGreater(Number(plain(textOf((await kernel.client.execute("turns")).outputs[0]))), 0);
    },
  },
  {
    name: "interrupt: says so in an error output",
    run: async ({ client }) => {
      const { promise: begun, resolve } = Promise.withResolvers<void>();
      const running = client.execute(
        `Deno.jupyter.broadcast("display_data", { data: {}, metadata: {} }); while (true);`,
        {
          onOutput: () => resolve(),
        },
      );
      await begun;
      await client.request("interrupt_request", {}, "control");
      assertEquals(typesOf((await running).outputs), ["display_data", "error"]);
    },
  },
  {
    name: "interrupt: nothing runs",
    run: async ({ client }) => {
      assertEquals((await client.request("interrupt_request", {}, "control")).content.status, "ok");
      await sleep(100);
      assertEquals(plain(textOf((await client.execute("1 + 1")).outputs[0])), "2");
      const late = await client.execute(
        "setTimeout(() => globalThis.late = 1, 1); await new Promise((resolve) => setTimeout(resolve, 100)); globalThis.late",
      );
      assertEquals(plain(textOf(late.outputs[0])), "1");
    },
  },
  {
    name: "shutdown",
    run: async (kernel) => {
      const reply = kernel.client.request("shutdown_request", { restart: false }, "control");
      assertEquals((await reply).content, { status: "ok", restart: false });
      assertEquals(await kernel.shutdown(10_000), { code: 0, wasKilled: false });
    },
  },
  {
    name: "restart: the reply says so, and the process ends",
    run: async (kernel) => {
      const reply = kernel.client.request("shutdown_request", { restart: true }, "control");
      assertEquals((await reply).content, { status: "ok", restart: true });
      assertEquals(await kernel.shutdown(10_000), { code: 0, wasKilled: false });
    },
  },
];
