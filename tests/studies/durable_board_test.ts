// The board in a folder: killed in the middle of its days it goes on where it was, and shows what it would
// have shown.

import { readHead } from "../../src/durable/head_file.ts";
import { runDurableBoard } from "../../studies/durable_board.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertStringIncludes,
} from "../../testing/assert.ts";

const START = new URL("../../studies/start.ts", import.meta.url).pathname;
const CONFIGURATION = new URL("../../deno.json", import.meta.url).pathname;
const DAYS = 400;

/** Runs the command; with `isKilled` it is killed when it has learnt its first days. */
async function run(folder: string, isKilled: boolean): Promise<string> {
  const flags = [
    "run",
    "--quiet",
    "--no-check",
    "--no-lock",
    "--config",
    CONFIGURATION,
    "--allow-read",
    "--allow-write",
  ];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...flags, START, "--folder", folder, "--days", String(DAYS), "--backend", "array", "--json"],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const out = new Response(child.stdout).text();
  if (isKilled) {
    // What the board itself notes as committed.
    while ((readHead(`${folder}/HEAD`)?.sequence ?? 0) < 20) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    child.kill("SIGKILL");
  }
  await child.status;
  return await out;
}

Deno.test("start --folder: a board that was killed goes on, and is the one that nobody killed", async () => {
  const base = await Deno.makeTempDir();
  assertEquals(await run(`${base}/board`, true), "");
  const result = JSON.parse(await run(`${base}/board`, false));
  assertEquals(result.days, DAYS);
  assertGreater(result.before, 19);
  assert(result.before < DAYS, "it was killed before it was done");
  const whole = await runDurableBoard({ folder: `${base}/whole`, days: DAYS, backend: "array" });
  assertEquals([whole.before, whole.lastDate], [0, result.lastDate]);
  assertEquals(whole.coming.length, result.coming.length);
  whole.coming.forEach(({ date, births }, at) => {
    assertEquals(result.coming[at].date, date);
    assertAlmostEquals(result.coming[at].births, births, 0.01);
  });
  const again = await runDurableBoard({ folder: `${base}/whole`, days: DAYS, backend: "array" });
  assertEquals([again.before, again.meanAbsoluteError], [DAYS, null]);
  await Deno.remove(base, { recursive: true });
});

Deno.test("start --folder prints the board", async () => {
  const { start } = await import("../../studies/start.ts");
  const base = await Deno.makeTempDir(), printed: string[] = [];
  const code = await start(["--folder", `${base}/board`, "--days", "3", "--backend", "array"], {
    print: (text) => void printed.push(text),
    errors: { write: () => {}, isTerminal: false, columns: 80 },
  });
  assertEquals(code, 0);
  assertStringIncludes(printed.join("\n"), "the board up to 1975-11-08, 3 days learnt");
  await Deno.remove(base, { recursive: true });
});
