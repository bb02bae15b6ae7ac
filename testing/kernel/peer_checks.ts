// What a person may expect of any kernel, as checks that run against each: every one is given a kernel that was just started
// and the words of its language, and throws where the kernel does not do as it should.

import { stripVTControlCharacters } from "node:util";
import type { KernelProcess } from "../../src/kernel/kernel_process.ts";
import type { Message } from "../../src/kernel/protocol/message.ts";
import { assert, assertEquals } from "../assert.ts";
import type { Snippets } from "./peers.ts";
import { eventually } from "./protocol_checks.ts";

/** A check. */
export interface PeerCheck {
  readonly name: string;
  readonly run: (kernel: KernelProcess, snippets: Snippets, heard: readonly Message[]) => Promise<void>;
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const plain = (text: unknown) => stripVTControlCharacters(String(text));
const dataOf = ({ content }: Message) => (content.data ?? {}) as Record<string, string>;
const streamed = (messages: readonly Message[], name = "stdout") =>
  messages.filter(({ header, content }) => header.msg_type === "stream" && content.name === name)
    .map(({ content }) => content.text).join("");
const valueOf = (outputs: readonly Message[]) => {
  const result = outputs.find(({ header }) => header.msg_type === "execute_result");
  return result && plain(dataOf(result)["text/plain"]);
};

/** The same snippet where there is one; a language without it has no such thing. */
function needed<T>(snippet: T | null): T {
  if (snippet === null) throw new Error("there is no such thing");
  return snippet;
}

/** Stops a cell as front ends do: by a message where the kernel takes one, and by a signal else. */
async function stopped(
  kernel: KernelProcess,
  code: string,
): Promise<{ status: string; outputs: readonly Message[] }> {
  const running = kernel.client.execute(code);
  await sleep(700);
  if (kernel.client.info.implementation === "attune") await kernel.interrupt("message");
  else await kernel.interrupt("signal");
  return await running;
}

async function stopsAndKeeps(
  kernel: KernelProcess,
  first: string,
  code: string,
  look: string,
): Promise<void> {
  await kernel.client.execute(first);
  assertEquals((await stopped(kernel, code)).status, "error");
  const { outputs } = await kernel.client.execute(look);
  assert(Number(valueOf(outputs)) >= 7, String(valueOf(outputs)));
}

async function stopBy(kernel: KernelProcess, by: "message" | "signal", code: string) {
  const running = kernel.client.execute(code);
  await sleep(700);
  await kernel.interrupt(by).catch(() => {});
  return await running;
}

const declared = ({ typed, print }: Snippets) =>
  typed === null && print("x").startsWith("print") ? "kept = 7" : "var kept = 7";

/** All of them. */
export const PEER_CHECKS: readonly PeerCheck[] = [
  {
    name: "a last value shows, nothing among them",
    run: async ({ client }, { nothing }) => {
      assertEquals(valueOf((await client.execute("40 + 2")).outputs), "42");
      if (nothing !== "None") assertEquals(valueOf((await client.execute(nothing)).outputs), "null");
    },
  },
  {
    name: "`_` is the last value",
    run: async ({ client }) => {
      await client.execute("40 + 2");
      assertEquals(valueOf((await client.execute("_ + 1")).outputs), "43");
    },
  },
  {
    name: "`;` hides the value",
    run: async ({ client }) => {
      const { status, outputs } = await client.execute("40 + 2;");
      assertEquals([status, outputs.length], ["ok", 0]);
    },
  },
  {
    name: "TypeScript",
    run: async ({ client }, { typed }) =>
      assertEquals(valueOf((await client.execute(needed(typed))).outputs), "42"),
  },
  {
    name: "await at the top",
    run: async ({ client }, { topLevelAwait }) =>
      assertEquals(valueOf((await client.execute(topLevelAwait)).outputs), "42"),
  },
  {
    name: "a cell that declares can run again",
    run: async ({ client }, { constant }) => {
      if (constant === null) return;
      const [once, again] = constant;
      await client.execute(once);
      assertEquals(valueOf((await client.execute(again)).outputs), "2");
    },
  },
  {
    name: "modules are imported",
    run: async ({ client }, { module }) => {
      const { outputs } = await client.execute(module);
      assert(String(valueOf(outputs)).includes("42"), String(valueOf(outputs)));
    },
  },
  {
    name: "10,000 lines arrive, before the cell is over",
    run: async ({ client }, { lines }) => {
      const { outputs, late } = await client.execute(lines(10_000), { settleMs: 1500 });
      assertEquals([streamed(outputs).trimEnd().split("\n").length, late], [10_000, 0]);
    },
  },
  {
    name: "late output belongs to its own cell",
    run: async ({ client }, { later, sleep }, heard) => {
      await client.execute(later(400));
      const first = heard.findLast(({ header }) => header.msg_type === "execute_input")?.parentHeader?.msg_id;
      await client.execute(sleep(1000));
      const [late] = heard.filter(({ content }) => String(content.text ?? "").includes("late"));
      assertEquals(late?.parentHeader?.msg_id, first);
    },
  },
  {
    name: "what a thread prints is shown below its cell",
    run: async ({ client }, { thread, sleep }, heard) => {
      await client.execute(thread("from afar"));
      const first = heard.findLast(({ header }) => header.msg_type === "execute_input")?.parentHeader?.msg_id;
      await eventually("its words", async () => {
        await client.execute(sleep(100));
        return heard.some(({ content }) => String(content.text ?? "").includes("from afar"));
      }, 20);
      const [said] = heard.filter(({ content }) => String(content.text ?? "").includes("from afar"));
      assertEquals(said?.parentHeader?.msg_id, first);
    },
  },
  {
    name: "an error that nobody catches is seen, and ends nothing",
    run: async ({ client }, { lateError, sleep: wait }, heard) => {
      await client.execute(needed(lateError));
      await client.execute(wait(300));
      assert(heard.some(({ content }) => JSON.stringify(content).includes("nobody caught this")));
      assertEquals(valueOf((await client.execute("40 + 2")).outputs), "42");
    },
  },
  {
    name: "an error quotes its line",
    run: async ({ client }, { raise }) => {
      const { reply } = await client.execute(raise);
      const text = plain((reply.traceback as string[]).join("\n"));
      assert(/3.*(throw new|raise) TypeError/.test(text), text);
    },
  },
  {
    name: "stop: an await",
    run: async (kernel, snippets) =>
      await stopsAndKeeps(kernel, declared(snippets), snippets.sleep(100_000), "kept"),
  },
  {
    name: "stop: a loop that computes",
    run: async (kernel, snippets) => await stopsAndKeeps(kernel, declared(snippets), snippets.spin, "kept"),
  },
  {
    name: "stop: what tidies up runs to its end",
    run: async (kernel, { finallyWaits }) => {
      const { outputs } = await stopped(kernel, finallyWaits);
      assert(streamed(outputs).includes("tidy"), streamed(outputs));
    },
  },
  {
    name: "stop: by message",
    run: async (kernel, snippets) => {
      await kernel.client.execute(declared(snippets));
      assertEquals((await stopBy(kernel, "message", snippets.sleep(100_000))).status, "error");
      assertEquals(valueOf((await kernel.client.execute("kept")).outputs), "7");
    },
  },
  {
    name: "a question to the reader",
    run: async ({ client }, { ask }) => {
      const { outputs } = await client.execute(ask, { onInput: () => "me" });
      assert(String(valueOf(outputs)).includes("me"));
    },
  },
  {
    name: "a hidden question",
    run: async ({ client }, { askHidden }) => {
      let hidden = false;
      await client.execute(needed(askHidden), {
        onInput: (_, isPassword) => {
          hidden = isPassword;
          return "x";
        },
      });
      assert(hidden);
    },
  },
  {
    name: "HTML is shown",
    run: async ({ client }, { html }) => {
      const { outputs } = await client.execute(html);
      assert(outputs.some((output) => dataOf(output)["text/html"] === "<b>x</b>"));
    },
  },
  {
    name: "a list of records is a table",
    run: async ({ client }, { records }) => {
      const { outputs } = await client.execute(records);
      assert(outputs.some((output) => dataOf(output)["text/html"]?.includes("<table")));
    },
  },
  {
    name: "completion after an index",
    run: async ({ client }, { listOf, print }) => {
      await client.execute(listOf);
      const code = print("x").startsWith("print") ? `data[0].ke` : "data[0].al";
      const wanted = print("x").startsWith("print") ? "keys" : "alpha";
      await eventually("the name", async () => {
        const { content } = await client.request("complete_request", { code, cursor_pos: code.length });
        return (content.matches as string[]).some((match) => match.endsWith(wanted));
      }, 15);
    },
  },
  {
    name: "completion says of what type",
    run: async ({ client }, { print }) => {
      const code = print("x").startsWith("print") ? `"".upp` : `"".toUpp`;
      await eventually("a type", async () => {
        const { content } = await client.request("complete_request", { code, cursor_pos: code.length });
        const { _jupyter_types_experimental: types = [] } = content.metadata as Record<
          string,
          { type: string }[]
        >;
        return types.some(({ type }) => /method|function/.test(type));
      }, 50);
    },
  },
  {
    name: "inspection of what is built in",
    run: async ({ client }, { builtIn: [code, signature] }) => {
      await eventually("its signature", async () => {
        const { content } = await client.request("inspect_request", {
          code,
          cursor_pos: code.length,
          detail_level: 0,
        });
        return plain((content.data as Record<string, string>)?.["text/plain"]).includes(signature);
      }, 50);
    },
  },
  {
    name: "is_complete",
    run: async ({ client }, { unfinished, wrong }) => {
      const statusOf = async (code: string) =>
        (await client.request("is_complete_request", { code })).content.status;
      assertEquals([await statusOf("1 + 1"), await statusOf(unfinished), await statusOf(wrong)], [
        "complete",
        "incomplete",
        "invalid",
      ]);
    },
  },
  {
    name: "history",
    run: async ({ client }) => {
      await client.execute("40 + 2");
      const { content } = await client.request("history_request", {
        ...{ output: false, raw: true, hist_access_type: "tail", n: 1 },
      });
      assertEquals((content.history as unknown[][]).at(-1)?.[2], "40 + 2");
    },
  },
  {
    name: "user_expressions",
    run: async ({ client }) => {
      const { content } = await client.request("execute_request", {
        ...{ code: "1", silent: false, store_history: true, allow_stdin: false, stop_on_error: true },
        user_expressions: { sum: "40 + 2" },
      });
      const { sum } = content.user_expressions as Record<string, { data: Record<string, string> }>;
      assertEquals(plain(sum.data["text/plain"]), "42");
    },
  },
  {
    name: "what waits behind an error is aborted",
    run: async ({ client }, { raise, print, sleep }) => {
      const cells = await Promise.all([
        client.execute(`${sleep(300)}\n${raise}`),
        client.execute(print("after")),
      ]);
      assertEquals(cells.map(({ status }) => status), ["error", "aborted"]);
    },
  },
  {
    name: "comms of a kind that nobody takes are closed",
    run: async ({ client }, _, heard) => {
      await client.tell("comm_open", { comm_id: "x", target_name: "nobody", data: {} });
      await eventually("comm_close", () => heard.some(({ header }) => header.msg_type === "comm_close"), 5);
    },
  },
  {
    name: "an interrupt is answered, and a kernel asked on control while it is busy",
    run: async ({ client }, { spin, print }) => {
      await client.execute(print("x").startsWith("print") ? "kept = 1" : "var kept = 1");
      const running = client.execute(spin).catch(() => {});
      await sleep(500);
      const { content } = await client.request("kernel_info_request", {}, "control");
      assertEquals(content.status ?? "ok", "ok");
      await client.request("interrupt_request", {}, "control");
      await running;
    },
  },
  {
    name: "what cells have started ends with the kernel",
    run: async (kernel, { spawn }) => {
      const pid = Number(streamed((await kernel.client.execute(needed(spawn))).outputs).trim());
      assert(pid > 0);
      await kernel.shutdown(8000);
      const isRunning = async () =>
        !/^State:\s+[ZX]/m.test(await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "State: X"));
      try {
        await eventually("its end", async () => !await isRunning(), 3);
      } finally {
        if (await isRunning()) Deno.kill(pid, "SIGKILL");
      }
    },
  },
  {
    name: "subshells",
    run: async ({ client }) => {
      const { content } = await client.request("create_subshell_request", {}, "control");
      assertEquals(content.status, "ok");
    },
  },
  {
    name: "a debugger",
    run: ({ client }) => {
      const { supported_features: features = [], debugger: has } = client.info;
      assert(has === true || (features as string[]).includes("debugger"));
      return Promise.resolve();
    },
  },
];
