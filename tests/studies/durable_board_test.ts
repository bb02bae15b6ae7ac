// The board in a folder: killed in the middle of its days it goes on where it was, and shows what it would
// have shown.

import { fileURLToPath } from "node:url";
import { programRun } from "../../testing/durable/run_writer.ts";
import { readHead } from "../../src/durable/head_file.ts";
import { runDurableBoard } from "../../studies/durable_board.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreaterOrEqual,
  assertStringIncludes,
} from "../../testing/assert.ts";

const START = fileURLToPath(new URL("../../studies/start.ts", import.meta.url));
/** All days that there are, which take far longer than a killed process has, and days that are learnt after a kill. */
const ALL_DAYS = 4805, MORE_DAYS = 300;

/** Starts the command. */
function startBoard(folder: string, days: number): Deno.ChildProcess {
  const words = ["--folder", folder, "--days", String(days), "--backend", "array", "--json"];
  return new Deno.Command(Deno.execPath(), {
    args: programRun(START, ...words),
    stdout: "piped",
    stderr: "null",
  }).spawn();
}

/** Kills the command when it has learnt its first days; returns how many it has noted as committed. */
async function killBoard(folder: string): Promise<number> {
  const committed = () => readHead(`${folder}/HEAD`)?.sequence ?? 0;
  const child = startBoard(folder, ALL_DAYS);
  let hasEnded = false;
  const ended = child.output().then(({ stdout }) => {
    hasEnded = true;
    return new TextDecoder().decode(stdout);
  });
  while (!hasEnded && committed() < 20) await new Promise((resolve) => setTimeout(resolve, 5));
  if (!hasEnded) child.kill("SIGKILL");
  assertEquals(await ended, "");
  return committed();
}

Deno.test("start --folder: a board that was killed goes on, and is the one that nobody killed", async () => {
  const base = await Deno.makeTempDir();
  const before = await killBoard(`${base}/board`), days = before + MORE_DAYS;
  assertGreaterOrEqual(before, 20);
  const { stdout } = await startBoard(`${base}/board`, days).output();
  const result = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(result.days, days);
  // A day may be on disk that HEAD does not tell of yet.
  assert(result.before === before || result.before === before + 1, `${result.before}, ${before}`);
  const whole = await runDurableBoard({ folder: `${base}/whole`, days, backend: "array" });
  assertEquals([whole.before, whole.lastDate], [0, result.lastDate]);
  assertEquals(whole.coming.length, result.coming.length);
  whole.coming.forEach(({ date, births }, at) => {
    assertEquals(result.coming[at].date, date);
    assertAlmostEquals(result.coming[at].births, births, 0.01);
  });
  const again = await runDurableBoard({ folder: `${base}/whole`, days, backend: "array" });
  assertEquals([again.before, again.meanAbsoluteError], [days, null]);
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
