// Requests that no front end should send, and some do: each is answered, soon, and with places that are in the text.

import { cursorIn } from "../../src/kernel/cell/cursor.ts";
import { History } from "../../src/kernel/proxy/history.ts";
import { assert, assertEquals, assertLess } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";

Deno.test("a pattern of the history is looked for in time that its length allows, whatever it is", async () => {
  const history = await History.open(null);
  const text = "a".repeat(5000);
  for (let at = 0; at < 50; at++) history.add(at, text);
  history.add(50, "const b = 1;\nb + 1");
  const find = (pattern: string) => history.find({ hist_access_type: "search", pattern }).length;
  const startedAt = performance.now();
  assertEquals(find("*".repeat(60) + "b"), 0);
  assertEquals(find("*a".repeat(40) + "*b"), 0);
  assertEquals(find("*a?*".repeat(20) + "b"), 0);
  assertEquals(find(text), 50);
  assertLess(performance.now() - startedAt, 2000);
  assertEquals(
    ["*b*1*", "const*", "*+ 1", "const b = 1;?b + 1", "b*", "*", "", "c?nst b*", "(*[", "*;*;*"].map(find),
    [1, 1, 1, 1, 0, 51, 0, 1, 0, 0],
  );
});

Deno.test("a cursor is within the text, in code points, whatever was sent", () => {
  const cases: readonly (readonly [code: string, cursor: unknown, expected: number])[] = [
    ["data.", 5, 5],
    ["data.", 6, 5],
    ["data.", 1e9, 5],
    ["data.", Infinity, 5],
    ["data.", -1, 0],
    ["data.", 1.7, 1],
    ["data.", NaN, 5],
    ["data.", null, 5],
    ["data.", undefined, 5],
    ["data.", "3", 5],
    ["data.", {}, 5],
    ["😀.", 5, 2],
    ["\ud83d", 7, 1],
    ["", 1, 0],
  ];
  for (const [code, cursor, expected] of cases) {
    assertEquals(cursorIn(code, cursor), expected, `${code} ${cursor}`);
  }
});

Deno.test("every request is answered, and what completes lies in the text and is said once", async (t) => {
  await using kernel = await startProxy();
  await kernel.client.execute("var data = { na: 1 }; function add(a: number, b: number) { return a + b }");
  const codes = [
    "",
    "data.",
    "data.na",
    "😀data.",
    "\ud83ddata.",
    "add(",
    "(".repeat(500),
    "'data.",
    "A".repeat(5000),
    "名",
  ];
  for (const code of codes) {
    await t.step(code.slice(0, 20), async () => {
      const length = [...code].length;
      for (const cursor of [0, length, length + 5, -3, 1.5, null, "x"]) {
        const { content } = await kernel.client.request("complete_request", { code, cursor_pos: cursor });
        const { status, matches, cursor_start: start, cursor_end: end } = content as {
          status: string;
          matches: string[];
          cursor_start: number;
          cursor_end: number;
        };
        assertEquals(status, "ok");
        assert(0 <= start && start <= end && end <= length, `${start} to ${end} of ${length}`);
        assertEquals(matches.length, new Set(matches).size);
        const { content: { status: inspected } } = await kernel.client.request("inspect_request", {
          code,
          cursor_pos: cursor,
        });
        assertEquals(inspected, "ok");
      }
    });
  }
  const requests: readonly (readonly [type: string, content: Record<string, unknown>, status: string])[] = [
    ["complete_request", {}, "ok"],
    ["inspect_request", { code: {}, cursor_pos: {} }, "ok"],
    ["history_request", { hist_access_type: "search", pattern: "*".repeat(50) + "b", n: 5 }, "ok"],
    ["history_request", { hist_access_type: "range", session: -1, start: 0, stop: "x" }, "ok"],
    ["comm_info_request", { target_name: 5 }, "ok"],
    ["execute_request", {}, "ok"],
    ["execute_request", { code: 5 }, "ok"],
    ["execute_request", { code: "1", user_expressions: [1] }, "ok"],
    ["execute_request", { code: "1", user_expressions: { a: 5, b: null, c: "{", d: "throw 1" } }, "ok"],
    ["execute_request", { code: "1", user_expressions: "x" }, "ok"],
    ["unknown_request", {}, "error"],
    ["debug_request", { command: "initialize" }, "error"],
    ["create_subshell_request", {}, "error"],
  ];
  for (const [type, content, status] of requests) {
    await t.step(`${type} ${JSON.stringify(content)}`.slice(0, 80), async () => {
      const reply = await kernel.client.request(type, content);
      assertEquals(reply.content.status, status);
    });
  }
});
