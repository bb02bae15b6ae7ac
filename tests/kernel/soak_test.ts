// Full suite: it is a soak.
// Limit: 30 minutes.
//
// One kernel over many cells of all kinds, with questions between them: every cell ends as it should, each output belongs to
// its own cell, and memory stays flat.

import { stripVTControlCharacters } from "node:util";
import type { KernelProcess } from "../../src/kernel/kernel_process.ts";
import { assert, assertEquals, assertLess } from "../../testing/assert.ts";
import { childOf, startProxy } from "../../testing/kernel/start_proxy.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";

/** `ATTUNE_CELLS=10000` asks for more, some fifteen minutes of them. */
const CELLS = Number(Deno.env.get("ATTUNE_CELLS") ?? (IS_LONG ? 1000 : 40));
/** The kernel knows its last 2,000 cells, so that memory is flat after those. */
const WARM = Math.min(2500, Math.floor(CELLS / 4));
/** What the rest of the cells may add, in megabytes. */
const GROWTH = 60;

/** A cell, the status of it, and its last output as text; null where that is not looked at. */
type Made = readonly [code: string, status: string, text: string | null];

const KINDS: readonly ((at: number) => Made)[] = [
  (at) => [`${at} + 0`, "ok", String(at)],
  (at) => [`const fixed = ${at}; let moved = fixed; moved += 1; moved`, "ok", String(at + 1)],
  (at) => [`class Made { value = ${at} } new Made().value`, "ok", String(at)],
  (at) => [`function made() { return ${at} } made()`, "ok", String(at)],
  (at) => [`var { a, ...rest } = { a: ${at}, b: 1 }; a`, "ok", String(at)],
  (at) => [`enum Kind { A = ${at} } Kind.A`, "ok", String(at)],
  (at) => [`await (async () => { await null; return ${at} })()`, "ok", String(at)],
  (
    at,
  ) => [`for await (const item of [Promise.resolve(${at})]) console.log("item", item)`, "ok", `item ${at}\n`],
  (at) => [`throw new Error("thrown ${at}")`, "error", `thrown ${at}`],
  (at) => [`import { join } from "node:path"; join("a", "${at}")`, "ok", `"a/${at}"`],
  (at) => [`await import("./missing-${at}.ts")`, "error", null],
  (at) => [`import { nothing${at} } from "node:path"; nothing${at}`, "ok", null],
  (at) => [`let broken = ${at} +`, "error", null],
  (at) => [`"x".repeat(100_000) + "${at}"; ${at}`, "ok", String(at)],
  (at) => [`console.log("y".repeat(50_000)); ${at}`, "ok", String(at)],
  (at) => [
    `setTimeout(() => console.log("late ${at}"), ${
      at % 40
    }); await Deno.jupyter.display({ a: ${at} }); ${at}`,
    "ok",
    String(at),
  ],
  (at) => [
    `await Deno.jupyter.display(1, { display_id: "d${at}" });
     await Deno.jupyter.display(2, { display_id: "d${at}", update: true }); ${at}`,
    "ok",
    String(at),
  ],
  (
    at,
  ) => [
    `globalThis[Symbol.for("attune.kernel")].openComm("t", { at: ${at} }).close(); ${at}`,
    "ok",
    String(at),
  ],
  (at) => [`Deno.test("t${at}", () => {}); ${at}`, "ok", String(at)],
];

const QUESTIONS: readonly (readonly [type: string, content: (at: number) => Record<string, unknown>])[] = [
  ["complete_request", () => ({ code: "mov", cursor_pos: 3 })],
  ["inspect_request", () => ({ code: "made", cursor_pos: 4, detail_level: 0 })],
  ["history_request", () => ({ hist_access_type: "tail", n: 5, output: false, raw: true })],
  ["is_complete_request", (at) => ({ code: `f(${at}` })],
  ["comm_info_request", () => ({})],
];

/** Memory of a process, in megabytes. */
function megabytesOf(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Number(kilobytes) / 1024;
}

async function runCell(kernel: KernelProcess, at: number, [code, status, text]: Made): Promise<string> {
  const { status: actual, outputs } = await kernel.client.execute(`console.log("begin ${at}"); ${code}`);
  const words = outputs.map(({ content }) => {
    const data = content.data as Record<string, string> | undefined;
    return stripVTControlCharacters(String(content.text ?? data?.["text/plain"] ?? content.evalue));
  }).filter((word) => !word.startsWith("late "));
  const seen = `cell ${at}, ${code}: ${words.map((word) => word.slice(0, 60))}`;
  assertEquals(actual, status, seen);
  if (text !== null) assert(words.at(-1)?.endsWith(text), seen);
  // A cell that cannot be read does not begin.
  if (text !== null) assert(words[0].startsWith(`begin ${at}\n`), seen);
  return String(outputs[0].parentHeader?.msg_id);
}

Deno.test({
  name: `a kernel over ${CELLS} cells keeps its memory, and every output belongs to its cell`,
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const lateOf = new Map<string, string>();
    await using kernel = await startProxy({
      onMessage: ({ header, content, parentHeader: parent }) => {
        if (header.msg_type !== "stream") return;
        for (const [, at] of String(content.text).matchAll(/late (\d+)/g)) {
          lateOf.set(at, String(parent?.msg_id));
        }
      },
    });
    const random = new Random(20261130), child = await childOf(kernel);
    const ids = new Map<string, string>();
    let before = [0, 0];
    const memory = () => [kernel.pid, child].map(megabytesOf);
    for (let at = 0; at < CELLS; at++) {
      const kind = random.pick(KINDS)(at);
      const id = await runCell(kernel, at, kind);
      if (kind[0].includes("late ")) ids.set(String(at), id);
      const [type, content] = QUESTIONS[random.below(2 * QUESTIONS.length)] ?? [];
      if (type && content) await kernel.client.request(type, content(at));
      if (at === WARM) before = memory();
      if (at % 1000 === 0) console.log(`cell ${at}: proxy and kernel, MB: ${memory().map(Math.round)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const [at, id] of ids) assertEquals(lateOf.get(at), id, `the late output of cell ${at}`);
    const after = memory();
    console.log(`MB before ${before.map(Math.round)}, after ${after.map(Math.round)}`);
    after.forEach((megabytes, at) => assertLess(megabytes - before[at], GROWTH));
    assertEquals(await childOf(kernel), child);
  },
});
