// Full suite: it starts kernels by the dozen.
//
// Reports of other kernels, replayed: each test shows what a person would see, in the kernel as a front end starts it.

import { stripVTControlCharacters } from "node:util";
import type { KernelProcess } from "../../src/kernel/kernel_process.ts";
import type { Message } from "../../src/kernel/protocol/message.ts";
import { assert, assertEquals, assertGreater } from "../../testing/assert.ts";
import { eventually } from "../../testing/kernel/protocol_checks.ts";
import { childOf, startProxy } from "../../testing/kernel/start_proxy.ts";

const plain = (text: unknown) => stripVTControlCharacters(String(text));
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const SLEEP = "const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));";

/** The text of a stream. */
function streamed(outputs: readonly Message[], name = "stdout"): string {
  return outputs.filter(({ header, content }) => header.msg_type === "stream" && content.name === name)
    .map(({ content }) => content.text).join("");
}

/** The last value of a cell, as text. */
function valueOf(outputs: readonly Message[]): string | undefined {
  const result = outputs.find(({ header }) => header.msg_type === "execute_result");
  return result && plain((result.content.data as Record<string, string>)["text/plain"]);
}

/** The traceback of a cell's error. */
function tracebackOf(outputs: readonly Message[]): string {
  const error = outputs.find(({ header }) => header.msg_type === "error");
  return plain((error?.content.traceback as string[] | undefined)?.join("\n"));
}

async function interrupt({ client }: KernelProcess): Promise<void> {
  await client.request("interrupt_request", {}, "control");
}

/** Starts a cell, and stops it so often once it has shown something. */
async function stopped(kernel: KernelProcess, code: string, times: number, pauseMs = 300) {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const running = kernel.client.execute(`console.log("begun"); ${code}`, { onOutput: () => resolve() });
  await begun;
  await sleep(50);
  for (let at = 0; at < times; at++) {
    await interrupt(kernel);
    if (at < times - 1) await sleep(pauseMs);
  }
  return await running;
}

Deno.test("replay K1: a stop throws once, later awaits pass, and a second stop ends what catches everything", async (t) => {
  await using kernel = await startProxy();
  await kernel.client.execute(`${SLEEP} var turns = 0, log: string[] = [];`);
  await t.step("finally waits to its end", async () => {
    const { status, outputs } = await stopped(
      kernel,
      `try { await sleep(1e6) } finally { await sleep(200); console.log("tidy"); await null; console.log("end") }`,
      1,
    );
    assertEquals([status, streamed(outputs)], ["error", "begun\ntidy\nend\n"]);
  });
  await t.step("so does finally in a function", async () => {
    const { status, outputs } = await stopped(
      kernel,
      `async function work() { try { await sleep(1e6) } finally { await sleep(200); console.log("inner") } }
       try { await work() } finally { console.log("outer") }`,
      1,
    );
    assertEquals([status, streamed(outputs)], ["error", "begun\ninner\nouter\n"]);
  });
  await t.step("what catches the stop may go on", async () => {
    const { status, outputs } = await stopped(
      kernel,
      `try { await sleep(1e6) } catch (error) { console.log(error.name) } await sleep(50); "went on"`,
      1,
    );
    assertEquals([status, streamed(outputs), valueOf(outputs)], ["ok", "begun\nInterrupted\n", '"went on"']);
  });
  const stubborn = [
    "while (true) { try { turns++; await sleep(20) } catch {} }",
    "const spin = async () => { while (true) { try { turns++; await sleep(20) } catch {} } }; await spin()",
    "await Promise.allSettled([1, 2].map(async () => { while (true) { try { turns++; await sleep(20) } catch {} } }))",
    "while (true) { try { turns++; await null } catch {} }",
    "for await (const x of (async function* () { while (true) { try { turns++; await sleep(20); yield 1 } catch {} } })()) { try { await x } catch {} }",
    "try { await new Promise(() => {}) } finally { await new Promise(() => {}) }",
    "const again = async (): Promise<void> => { turns++; await sleep(10).catch(() => {}); return again().catch(again) }; await again()",
    "while (true) { try { turns++; await Promise.race([sleep(20), new Promise(() => {})]) } catch { await null } }",
    "const timer = setInterval(() => turns++, 5); try { await new Promise(() => {}) } finally { clearInterval(timer); await sleep(1e6) }",
    "while (true) { try { while (true) turns++; } catch {} }",
  ];
  for (const code of stubborn) {
    await t.step(code, async () => {
      const child = await childOf(kernel);
      assertEquals((await stopped(kernel, code.replace(/^const /, "var "), 2, 600)).status, "error");
      const [before, after] = [
        await kernel.client.execute("turns"),
        await kernel.client.execute("await sleep(150); turns"),
      ];
      assertEquals(valueOf(after.outputs), valueOf(before.outputs));
      assertEquals(await childOf(kernel), child);
    });
  }
});

Deno.test("replay K2: a stop while a question waits throws, and the code does not go on", async () => {
  await using kernel = await startProxy();
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const running = kernel.client.execute(`const name = prompt("who?"); console.log("went on", name)`, {
    onInput: () => {
      resolve();
      return new Promise(() => {});
    },
  });
  await asked;
  await interrupt(kernel);
  const { status, outputs, reply } = await running;
  assertEquals([status, reply.ename, streamed(outputs)], ["error", "Interrupted", ""]);
  // Stops that come late do no harm.
  for (let at = 0; at < 5; at++) await interrupt(kernel);
  assertEquals(valueOf((await kernel.client.execute("1 + 1")).outputs), "2");
});

Deno.test("replay K3: all of 100,000 lines arrive, and under their own cell", async () => {
  await using kernel = await startProxy();
  const [first, second] = await Promise.all([
    kernel.client.execute(
      `for (let i = 0; i < 100_000; i++) console.log("line", i);
       console.log("x".repeat(3e6)); "the end"`,
    ),
    kernel.client.execute(`"B"`),
  ]);
  const lines = streamed(first.outputs).split("\n");
  assertEquals([lines.length, lines[0], lines[99_999], lines[100_000].length], [
    100_002,
    "line 0",
    "line 99999",
    3e6,
  ]);
  assertEquals([valueOf(first.outputs), valueOf(second.outputs), second.outputs.length], [
    '"the end"',
    '"B"',
    1,
  ]);
});

Deno.test("replay K4: late output belongs to the cell that made it", async () => {
  const heard: Message[] = [];
  await using kernel = await startProxy({ onMessage: (message) => void heard.push(message) });
  const first = await kernel.client.execute(
    `setTimeout(() => { console.log("A"); Deno.jupyter.display({ "text/plain": "B" }, { raw: true }) }, 300); 0`,
  );
  const second = await kernel.client.execute(`await new Promise((resolve) => setTimeout(resolve, 600)); 1`);
  assertEquals(second.outputs.map(({ header }) => header.msg_type), ["execute_result"]);
  const own = heard.filter(({ parentHeader }) =>
    parentHeader?.msg_id === first.outputs[0].parentHeader?.msg_id
  )
    .map(({ header, content }) => content.text ?? header.msg_type);
  assertEquals(own.slice(-2), ["A\n", "display_data"]);
});

Deno.test("replay K5: errors that nobody catches are seen, and cost nothing else", async (t) => {
  await using kernel = await startProxy();
  const cases: readonly (readonly [code: string, text: string])[] = [
    [`setTimeout(() => { throw new Error("of a timer") }, 1)`, "of a timer"],
    [`Promise.reject(new Error("of a promise"))`, "of a promise"],
    [`reportError(new Error("reported"))`, "reported"],
    [`queueMicrotask(() => { throw new Error("of a microtask") })`, "of a microtask"],
    [
      `const target = new EventTarget(); target.addEventListener("x", () => { throw new Error("of a listener") });
       target.dispatchEvent(new Event("x"))`,
      "of a listener",
    ],
    [`Promise.reject(7)`, "7"],
  ];
  for (const [code, text] of cases) {
    await t.step(text, async () => {
      const { status, outputs } = await kernel.client.execute(
        `${code}; await new Promise((resolve) => setTimeout(resolve, 50)); "result"`,
      );
      assertEquals([status, valueOf(outputs)], ["ok", '"result"']);
      assert(streamed(outputs, "stderr").includes(text), streamed(outputs, "stderr"));
    });
  }
  await t.step("a microtask's, ten times", async () => {
    for (let at = 0; at < 10; at++) {
      const startedAt = performance.now();
      const { outputs } = await kernel.client.execute(
        `queueMicrotask(() => { throw new Error("m") }); ${at}`,
      );
      assertEquals(valueOf(outputs), String(at));
      assertGreater(2000, performance.now() - startedAt);
    }
  });
  await t.step("a package that is not there", async () => {
    for (
      const code of [`import x from "npm:@attune/there-is-no-such-package@1.0.0"`, `import "./nowhere.ts"`]
    ) {
      const { status, outputs } = await kernel.client.execute(code);
      assertEquals(status, "error");
      assert(/there-is-no-such-package|nowhere\.ts/.test(tracebackOf(outputs)), tracebackOf(outputs));
    }
  });
  await t.step("a failing test", async () => {
    const { status, outputs, reply } = await kernel.client.execute(
      `Deno.test("adds", () => { if (1 + 1 !== 3) throw new Error("not three") }); Deno.test("holds", () => {})`,
    );
    assertEquals([status, reply.evalue], ["error", "1 of 2 tests failed"]);
    assert(/adds \.\.\. FAILED[^]*holds \.\.\. ok/.test(streamed(outputs)), streamed(outputs));
    assert(streamed(outputs, "stderr").includes("not three"));
  });
});

Deno.test("replay K5: a broken deno.json is told where the cell is", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/deno.json`, `{ "imports": `);
    await using kernel = await startProxy({ cwd: folder });
    const { status, outputs } = await kernel.client.execute("1 + 1");
    assertEquals(status, "error");
    assert(tracebackOf(outputs).includes("deno.json"), tracebackOf(outputs));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("replay K6: an error says its place, its line, its causes and its own fields", async (t) => {
  await using kernel = await startProxy();
  await t.step("line and column, after types and comments", async () => {
    const { outputs } = await kernel.client.execute(
      `interface Row {\n  name: string;\n}\n// words\n\nconst read = (row: Row,\n  at: number): string => {\n  throw new RangeError("no row");\n};\nread({ name: "a" },\n  3)`,
    );
    const text = tracebackOf(outputs);
    assert(text.includes("<cell 1>:8:9") && text.includes("<cell 1>:10:1"), text);
    assert(
      text.includes('> 8 |   throw new RangeError("no row");') ||
        text.includes(`>  8 |   throw new RangeError("no row");`),
      text,
    );
  });
  await t.step("of a function of an earlier cell", async () => {
    const { outputs } = await kernel.client.execute(`\n\nconst text = read({ name: "b" }, 4)`);
    const text = tracebackOf(outputs);
    assert(text.includes("<cell 1>:8:9") && text.includes("<cell 2>:3:14"), text);
  });
  await t.step("enum, class, await", async () => {
    const { outputs } = await kernel.client.execute(
      `enum Color { Red }\nclass A { constructor(private x: number) {} }\nawait null;\nawait Promise.reject(new Error("late", { cause: new TypeError("deeper") }))`,
    );
    const text = tracebackOf(outputs);
    assert(text.includes("<cell 3>:4:22") && text.includes("TypeError: deeper"), text);
  });
  await t.step("what is no error", async () => {
    assert(tracebackOf((await kernel.client.execute(`throw "text"`)).outputs).includes(`Uncaught "text"`));
    assert(tracebackOf((await kernel.client.execute(`throw { code: 7 }`)).outputs).includes("code: 7"));
    assert(tracebackOf((await kernel.client.execute(`throw null`)).outputs).includes("Uncaught null"));
  });
  await t.step("nested errors and own fields", async () => {
    const { outputs } = await kernel.client.execute(
      `throw Object.assign(new AggregateError([new Error("one"), new TypeError("two")], "many"), { code: "E_MANY" })`,
    );
    const text = tracebackOf(outputs);
    assert(["many", "Error: one", "TypeError: two", "E_MANY"].every((word) => text.includes(word)), text);
  });
  await t.step("an error that cannot be shown", async () => {
    const { status } = await kernel.client.execute(
      `throw Object.defineProperty(new Error("x"), "message", { get() { throw new Error("inner") } })`,
    );
    assertEquals(status, "error");
    assertEquals(valueOf((await kernel.client.execute("2")).outputs), "2");
  });
});

Deno.test("replay K9: every last value shows, and is kept as _", async (t) => {
  await using kernel = await startProxy();
  const cases: readonly (readonly [code: string, text: string | undefined])[] = [
    ["null", "null"],
    ["NaN", "NaN"],
    ["-0", "-0"],
    ["Infinity", "Infinity"],
    ["10n", "10n"],
    ["false", "false"],
    ['""', '""'],
    ["undefined", undefined],
    ["Symbol('s')", "Symbol(s)"],
    ["6 * 7", "42"],
    ["_", "42"],
    ["__ + 1", "43"],
    ["8;", undefined],
    ["_", "8"],
    ["if (true) 5", "5"],
  ];
  for (const [code, text] of cases) {
    await t.step(code, async () => assertEquals(valueOf((await kernel.client.execute(code)).outputs), text));
  }
  await t.step("a table", async () => {
    const { outputs } = await kernel.client.execute(`[{ name: "<b>", n: 1 }, { name: "y", m: 2 }]`);
    const { data } = outputs[0].content as { data: Record<string, string> };
    assert(
      data["text/plain"].includes("name") && data["text/html"].includes("&#60;b&#62;"),
      JSON.stringify(data),
    );
  });
  await t.step("a name of one's own", async () => {
    assertEquals(valueOf((await kernel.client.execute(`var _ = "mine"; 1`)).outputs), "1");
    assertEquals(valueOf((await kernel.client.execute(`_`)).outputs), '"mine"');
  });
});

Deno.test("replay K11: whatever is written or asked by the standard streams arrives", async (t) => {
  await using kernel = await startProxy();
  const run = (code: string) => kernel.client.execute(code, { onInput: () => "answer" });
  await t.step("written", async () => {
    const { outputs } = await run(
      `import fs from "node:fs";
       const writer = Deno.stdout.writable.getWriter(); await writer.write(new TextEncoder().encode("a\\n")); writer.releaseLock();
       fs.writeSync(1, "b\\n"); process.stdout.write("c\\n"); await Deno.stdout.write(new TextEncoder().encode("d\\n"));
       alert("e"); process.stderr.write("f\\n")`,
    );
    assertEquals([streamed(outputs), streamed(outputs, "stderr")], ["a\nb\nc\nd\ne\n", "f\n"]);
  });
  await t.step("cleared", async () => {
    const { outputs } = await run(`console.log("old"); console.clear(); console.log("new")`);
    assertEquals(outputs.map(({ header }) => header.msg_type), ["stream", "clear_output", "stream"]);
  });
  await t.step("read", async () => {
    const { outputs } = await run(
      `const bytes = new Uint8Array(100); const count = await Deno.stdin.read(bytes); new TextDecoder().decode(bytes.subarray(0, count ?? 0))`,
    );
    assertEquals(valueOf(outputs), '"answer\\n"');
  });
  await t.step("readline", async () => {
    const { outputs } = await run(
      `import readline from "node:readline/promises";
       const lines = readline.createInterface({ input: process.stdin, output: process.stdout });
       const said = await lines.question("who? "); lines.close(); said`,
    );
    assertEquals(valueOf(outputs), '"answer"');
  });
  await t.step("last words", async () => {
    const said: Message[] = [];
    await kernel.client.execute(`console.log("x".repeat(1e6)); console.log("farewell"); Deno.exit(3)`, {
      onOutput: (output) => void said.push(output),
    }).catch(() => {});
    assert(streamed(said).endsWith("farewell\n"), streamed(said).slice(-100));
  });
});

Deno.test("replay K12: what cells have started ends with the kernel", {
  ignore: Deno.build.os !== "linux",
}, async (t) => {
  const isRunning = async (pid: number) => {
    try {
      return !/^State:\s+[ZX]/m.test(await Deno.readTextFile(`/proc/${pid}/status`));
    } catch {
      return false;
    }
  };
  for (const way of ["shutdown", "kill -9"] as const) {
    await t.step(way, async () => {
      const kernel = await startProxy();
      const { outputs } = await kernel.client.execute(
        `const child = new Deno.Command("sh", { args: ["-c", "sleep 1000 & echo $!; exec sleep 1000"], stdout: "piped" }).spawn();
         const { value } = await child.stdout.getReader().read(); [child.pid, Number(new TextDecoder().decode(value))].join()`,
      );
      const pids = String(valueOf(outputs)).replaceAll('"', "").split(",").map(Number);
      assertEquals(await Promise.all(pids.map(isRunning)), [true, true]);
      if (way === "shutdown") await kernel.shutdown();
      else {
        Deno.kill(kernel.pid, "SIGKILL");
        await kernel.shutdown(0);
      }
      await eventually("their end", async () => !(await Promise.all(pids.map(isRunning))).includes(true), 10);
    });
  }
});

Deno.test("replay K10: completion after indexes, calls, texts and line ends, of paths, with types; inspection with signatures", async (t) => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/helper.ts`,
      "/** Adds one. */\nexport function addOne(x: number): number { return x + 1; }",
    );
    await Deno.writeTextFile(`${folder}/package.json`, `{ "dependencies": { "chalk": "5" } }`);
    await using kernel = await startProxy({ cwd: folder });
    const { client } = kernel;
    await client.execute(`const data = [{ alpha: 1, beta: "x" }], loose = JSON.parse('[{"gamma": 1}]');
      function f() { return new Map<string, number>() }`);
    const complete = async (code: string) => {
      const { content } = await client.request("complete_request", { code, cursor_pos: [...code].length });
      return content as {
        matches: string[];
        cursor_start: number;
        metadata: Record<string, { text: string; type: string }[]>;
      };
    };
    // The language server takes its time to start.
    await eventually("types", async () => {
      const { metadata } = await complete("f().");
      return metadata._jupyter_types_experimental.some(({ type }) => type === "method");
    }, 120);
    const cases: readonly (readonly [code: string, wanted: string])[] = [
      ["data[0].", "alpha"],
      ["loose[0].", "gamma"],
      ["f().", "entries"],
      [`"s".to`, "toUpperCase"],
      ["data\n  .map((row) => row.alpha)\n  .fil", "filter"],
      [`import { addOne } from "./hel`, "helper.ts"],
      ["Deno.readTextF", "readTextFile"],
      ["da", "data"],
      ["const [row] = data;\nrow.be", "beta"],
      [`data[0]["al`, "alpha"],
      [`const { sep } = await import("node:pa`, "node:path"],
      [`import chalk from "`, "chalk"],
      [`import { attend } from "@attune/attention/w`, "@attune/attention/widgets"],
    ];
    for (const [code, wanted] of cases) {
      await t.step(code, async () => {
        const { matches } = await complete(code);
        assert(matches.some((match) => match.includes(wanted)), matches.join());
        assert(!matches[0].startsWith("__"), matches[0]);
      });
    }
    await t.step("between brackets stand the names of what is taken apart, and no others", async () => {
      const { content } = await client.request("complete_request", {
        code: "const { } = data[0]",
        cursor_pos: 8,
      });
      assertEquals(content.matches, ["alpha", "beta"]);
    });
    await t.step("names mean nothing in texts and comments", async () => {
      for (const code of [`"data.`, "// data.", `f("da`]) {
        assertEquals((await complete(code)).matches, [], code);
      }
    });
    await t.step("types", async () => {
      const { metadata } = await complete("f().");
      const found = metadata._jupyter_types_experimental.find(({ text }) => text === "entries");
      assertEquals(found?.type, "method");
    });
    const inspect = async (code: string) => {
      const { content } = await client.request("inspect_request", {
        code,
        cursor_pos: code.length,
        detail_level: 0,
      });
      return String((content.data as Record<string, string>)["text/plain"]);
    };
    await t.step("signatures of built-ins", async () => {
      const text = await inspect("Deno.readTextFile(");
      assert(text.includes("path: string | URL") && text.includes("Promise<string>"), text);
      assert((await inspect("Math.max")).includes("values: number[]"));
      assert((await inspect("data")).includes("data: "));
      await client.execute("const add = (a: number, b = 2) => a + b, seen = new Map<string, number>()");
      assert((await inspect("add")).includes("add: (a: number, b?: number) => number"));
      assert((await inspect("seen")).includes("seen: Map<string, number>"));
      const { content } = await client.request("inspect_request", { code: "nobody", cursor_pos: 3 });
      assertEquals(content.found, false);
    });
    await t.step("words of one's own modules", async () => {
      await client.execute(`import { addOne } from "./helper.ts"`);
      const text = await inspect("addOne(");
      assert(text.includes("Adds one.") && text.includes("x: number"), text);
    });
    await t.step("is_complete", async () => {
      const statusOf = async (code: string) =>
        (await client.request("is_complete_request", { code })).content.status;
      assertEquals([await statusOf(`"abc`), await statusOf("try {}")], ["invalid", "incomplete"]);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("users of IPython find: a hint for % and !, measuring, their history, edited modules, type warnings", async (t) => {
  const folder = await Deno.makeTempDir();
  try {
    const env = { ATTUNE_HISTORY: "1", JUPYTER_DATA_DIR: `${folder}/data` };
    await using kernel = await startProxy({ cwd: folder, env });
    const { client } = kernel;
    await t.step("hints", async () => {
      assert(tracebackOf((await client.execute("%time f()")).outputs).includes("timed"));
      assert(tracebackOf((await client.execute("!ls")).outputs).includes("Deno.Command"));
    });
    await t.step("measuring", async () => {
      const { outputs } = await client.execute(
        `import { timed } from "@attune/attention/jupyter"; await timed(() => 1, { runs: 5 })`,
      );
      assert(/in the median of 5 runs/.test(String(valueOf(outputs))), valueOf(outputs));
    });
    await t.step("a question of a subshell is answered clearly", async () => {
      const { content } = await client.request("create_subshell_request", {}, "control");
      assertEquals([content.status, content.ename], ["error", "NotSupported"]);
    });
    await t.step("edited modules", async () => {
      const write = async (name: string, text: string) => {
        await sleep(20);
        await Deno.writeTextFile(`${folder}/${name}`, text);
        await Deno.utime(`${folder}/${name}`, new Date(), new Date());
      };
      await write("inner.ts", "export const value = 1;");
      await write("outer.ts", `export { value } from "./inner.ts"; export const state = { kept: 0 };`);
      await client.execute(`import { value, state } from "./outer.ts"; state.kept = 7`);
      const again = async () =>
        valueOf(
          (await client.execute(`import { value, state } from "./outer.ts"; [value, state.kept].join()`))
            .outputs,
        );
      assertEquals(await again(), '"1,7"');
      await write("inner.ts", "export const value = 2;");
      assertEquals(await again(), '"2,0"');
      await client.execute("state.kept = 8");
      assertEquals(await again(), '"2,8"');
    });
    await t.step("a configuration that changes", async () => {
      await Deno.writeTextFile(`${folder}/deno.json`, "{}");
      const { outputs } = await client.execute("1");
      assert(streamed(outputs, "stderr").includes("deno.json has changed"));
      assertEquals(streamed((await client.execute("1")).outputs, "stderr"), "");
    });
    await t.step("type warnings, on request", async () => {
      await client.execute(`import { checkTypes } from "@attune/attention/jupyter"; checkTypes()`);
      const { status, outputs } = await client.execute(`\nconst count: number = "three"; count`);
      assertEquals([status, valueOf(outputs)], ["ok", '"three"']);
      assert(/2:7 TS2322/.test(streamed(outputs, "stderr")), streamed(outputs, "stderr"));
    });
    await client.execute(`"for the history"`);
    await kernel.shutdown();
    await using next = await startProxy({ cwd: folder, env });
    const { content } = await next.client.request("history_request", {
      ...{ hist_access_type: "search", pattern: "*for the history*", output: false, raw: true, n: 5 },
    });
    assertEquals((content.history as unknown[][]).map(([session, , source]) => [session, source]), [[
      1,
      `"for the history"`,
    ]]);
    assertEquals((await Deno.stat(`${folder}/data/attune-history.jsonl`)).mode! & 0o077, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
