// Full suite: it runs what people type by the hundred.
//
// What people type into a notebook of TypeScript every day, by mistake or by habit from elsewhere, and what they read then.

import { stripVTControlCharacters } from "node:util";
import type { Message } from "../../src/kernel/protocol/message.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";

/** All that a cell shows, as one text. */
function textOf(outputs: readonly Message[]): string {
  return outputs.map(({ content }) => {
    const { text, traceback, data } = content as Record<string, unknown>;
    const lines = Array.isArray(traceback) ? traceback.join("\n") : null;
    return stripVTControlCharacters(
      String(lines ?? text ?? (data as Record<string, string> | undefined)?.["text/plain"] ?? ""),
    );
  }).join("");
}

/** Cells, whether they end well, and what stands in their outputs. */
const CELLS: readonly (readonly [code: string, status: string, ...parts: string[]])[] = [
  [
    `const a = 1;\nconst text = await Deno.readTextFile("/nope/file");`,
    "error",
    "> 2 | const text",
    "<cell 1>:2:14",
  ],
  [
    `\n\nawait new Promise((_, no) => setTimeout(() => no("words"), 1))`,
    "error",
    "> 3 | await",
    "<cell 2>:3:1",
  ],
  [`1\nimport "node:nope"`, "error", "No such built-in module: node:nope", "> 2 | import", "<cell 3>:2:1"],
  [
    "async function inner() {\n  for (const x of [1]) {\n    await null;\n    null.x;\n  }\n}\nawait inner()",
    "error",
    "> 4 |     null.x;",
    "at async inner",
  ],
  [`import x from "nobody-has-this"`, "error", `"nobody-has-this" is no path`, "npm:nobody-has-this"],
  [
    `import x from "data:text/javascript,export const left = 1"`,
    "error",
    "no default export; it exports left",
  ],
  [`import { nothing, join } from "node:path"; typeof join`, "ok", "no value named nothing", '"function"'],
  [
    `import { writeSync } from "node:fs"; import { createRequire } from "node:module";
     writeSync(1, "by name\\n"); createRequire(import.meta.url)("fs").writeSync(1, "by require\\n")`,
    "ok",
    "by name\nby require\n",
  ],
  ["Math?", "error", "hint: to read about something, press Shift and Tab"],
  ["help(Math)", "error", "hint: to read about something"],
  ["%%bash\nls", "error", "hint: lines with ! or %", "Deno.Command"],
  ["!pip install x", "error", "hint: packages need no installing"],
  [`const fs = require("fs")`, "error", `hint: modules are imported: import fs from "node:fs"`],
  ["__dirname", "error", "hint: the notebook's folder is import.meta.dirname"],
  ["const dirs = 1 ? missing : 2", "error", "missing is not defined"],
  [
    `const { code } = await new Deno.Command("sh", { args: ["-c", "echo out; echo err >&2; exit 3"] }).spawn().status; code`,
    "ok",
    "out\n",
    "err\n",
    "3",
  ],
  [
    `import { execSync, spawn } from "node:child_process"; execSync("echo once", { stdio: "inherit" });
     await new Promise((done) => spawn("echo", ["twice"], { stdio: "inherit" }).on("close", done))`,
    "ok",
    "once\n",
    "twice\n",
  ],
  [
    `import { fork } from "node:child_process"; import { writeFileSync } from "node:fs"; var forked = Deno.makeTempFileSync({ suffix: ".mjs" });
     writeFileSync(forked, 'process.send({ count: process.argv.length }); console.log("forked"); console.error("aside")');
     var heard = null, far = fork(forked, ["a", "b"]).on("message", ({ count }) => heard = count);
     await new Promise((done) => far.on("close", done)); heard`,
    "ok",
    "forked\n",
    "aside\n",
    "4",
  ],
  [
    `var quiet = fork(forked, { silent: true }), own = ""; quiet.stdout.on("data", (bytes) => own += bytes);
     await new Promise((done) => quiet.on("close", done)); Deno.removeSync(forked); own`,
    "ok",
    '"forked\\n"',
  ],
  [
    `const cat = new Deno.Command("cat", { stdin: "piped", stdout: "piped" }).spawn(), way = cat.stdin.getWriter();
     await way.write(new TextEncoder().encode("through")); await way.close(); new TextDecoder().decode((await cat.output()).stdout)`,
    "ok",
    '"through"',
  ],
  [`new Deno.Command("true").spawn().stdout`, "error", "Cannot get 'stdout': 'stdout' is not piped"],
  [
    `new Worker("data:text/javascript,throw new Error('within')", { type: "module" }); await new Promise((done) => setTimeout(done, 2500))`,
    "ok",
    "Error: within",
  ],
];

Deno.test("what people type every day: each error has its place, and says what to do", async (t) => {
  await using kernel = await startProxy();
  for (const [code, wanted, ...parts] of CELLS) {
    await t.step(code.trim().slice(0, 80), async () => {
      const { status, outputs } = await kernel.client.execute(code);
      const text = textOf(outputs);
      assertEquals(status, wanted, text);
      for (const part of parts) assert(text.includes(part), text);
    });
  }
  await t.step("a cell that ends the kernel says so, and no more", async () => {
    const said: string[] = [];
    const running = kernel.client.execute(`console.log("last words"); Deno.exit(3)`, {
      onOutput: (output) => void said.push(textOf([output])),
    });
    await running.catch(() => {});
    const words = "Deno.exit(3) has ended the kernel; its state is lost";
    assertEquals(said.slice(0, 2), ["last words\n", `DeadKernel: ${words}`]);
  });
});
