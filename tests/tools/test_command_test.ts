// The command that runs all tests: what hangs or dies is red by its name, what is skipped is told, what was started
// is ended.

import {
  assert,
  assertEquals,
  assertGreater,
  assertStringIncludes,
  assertThrows,
} from "../../testing/assert.ts";
import { parseArguments } from "../../tools/test/arguments.ts";
import { main } from "../../tools/test/main.ts";
import { countsIn, runFile } from "../../tools/test/run_file.ts";
import { EXAMPLES, findTestFiles, readHead } from "../../tools/test/test_files.ts";

const FILES: Readonly<Record<string, string>> = {
  "README.md": "# A page\n\n```ts\nconst one: number = 1;\nconsole.log(one);\n```\n",
  "src/module.ts": "/** No example. */\nexport const two = 2;\n",
  "tests/fine_test.ts":
    `Deno.test("fine", () => {});\nDeno.test({ name: "left out", ignore: true, fn() {} });\n`,
  "tests/deep/red_test.ts": `Deno.test("red", () => { throw new Error("the reason"); });\n`,
  "tests/broken_test.ts": `import "./nowhere.ts";\n`,
  "tests/lacking_test.ts": `console.warn("Tests are skipped: chromium is missing, get it with: a command");
console.info("Tests of webgpu run on: a device");\nDeno.test({ name: "page", ignore: true, fn() {} });\n`,
  "tests/again_test.ts":
    `console.warn("Tests are skipped: chromium (after 2 ms (of 3)) is missing, get it with: a command");
`,
  "tests/slow_test.ts":
    `// Full suite: it takes long.\n\nDeno.test(String(Deno.env.get("ATTUNE_LONG")), () => {});\n`,
};

/** A test that hangs, with a process that it has started, which tells its number in a file. */
const HANGING = `Deno.test("prints", () => console.log("it waits"));
Deno.test("never ends", async () => {
  const program = "Deno.writeTextFileSync('child', String(Deno.pid)); setInterval(() => {}, 1000)";
  await new Deno.Command(Deno.execPath(), { args: ["eval", program] }).spawn().status;
});
`;

/** A folder of these files. */
async function makeFolder(files: Readonly<Record<string, string>>): Promise<URL> {
  const root = new URL(`file://${await Deno.makeTempDir({ prefix: "attune-" })}/`);
  for (const [path, text] of Object.entries(files)) {
    const file = new URL(path, root);
    await Deno.mkdir(new URL(".", file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  return root;
}

/** Runs the command over a folder of these files; gives its exit code and what it printed. */
async function run(
  files: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<{ code: number; lines: string[] }> {
  const root = await makeFolder(files);
  const { log, error } = console;
  const printed: string[] = [];
  console.log = console.error = (text: string) => printed.push(text);
  try {
    const code = await main([...args, "--jobs=2"], root);
    return { code, lines: printed.join("\n").split("\n") };
  } finally {
    console.log = log;
    console.error = error;
    await Deno.remove(root, { recursive: true });
  }
}

/** Asks until there is an answer; what never has one is ended by the limit of this file. */
async function persist<T>(ask: () => Promise<T | null>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The lines after the last empty one. */
function lastLines(lines: readonly string[]): string[] {
  return lines.slice(lines.lastIndexOf("") + 1).map((line) =>
    line.replace(/ +[\d.]+ s +/, " ").replace(/\((\d+ min )?\d+ s\)/, "(s)")
  );
}

Deno.test("test command: green files take a line each, and the last lines say what was skipped", async () => {
  const { "tests/deep/red_test.ts": _red, "tests/broken_test.ts": _broken, ...green } = FILES;
  const { code, lines } = await run(green, []);
  assertEquals(lastLines(lines), [
    "ok | 2 passed | 0 failed | 2 ignored | 4 files (s)",
    "Tests in 1 file of webgpu run on: a device",
    "Skipped: tests in 2 files: chromium (after 2 ms (of 3)) is missing, get it with: a command",
    "Skipped: 1 file of the full suite; run it with: deno task test:full",
  ]);
  assertEquals(lines.length, 4 + 1 + 4);
  assertEquals(code, 0);
});

Deno.test("test command: what fails is shown in full and named at the end", async () => {
  const { code, lines } = await run(FILES, []);
  assert(lines.some((line) => line.includes("Error: the reason")), "the output of the red test");
  assert(lines.some((line) => line.includes("Module not found")), "the output of the broken one");
  assertEquals(lastLines(lines).slice(0, 3), [
    "FAILED tests/broken_test.ts: it ended with exit code 1 before its tests did",
    "FAILED tests/deep/red_test.ts: 1 failed",
    "FAILED | 2 passed | 1 failed | 2 ignored | 6 files (s)",
  ]);
  assertEquals(code, 1);
});

Deno.test("test command: what hangs is ended with all that it started, and what it printed is kept", async () => {
  const root = await makeFolder({ "tests/hanging_test.ts": HANGING }), interruption = new AbortController();
  const ended = runFile(
    { name: "hanging", args: ["--no-check", "tests/hanging_test.ts"], fullSuite: null, limitSeconds: null },
    { root, flags: ["--allow-all"], env: {}, limitSeconds: 1e6, signal: interruption.signal },
  );
  const pid = await persist(async () => {
    const text = await Deno.readTextFile(new URL("child", root)).catch(() => "");
    return text === "" ? null : text;
  });
  interruption.abort();
  const { failure, output } = await ended;
  assertEquals(failure, "it was interrupted");
  assertStringIncludes(output, "it waits");
  // What has ended and was not asked for its end is a zombie, Z.
  await persist(async () => {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => ") Z");
    return stat.split(") ").at(-1)!.startsWith("Z") ? true : null;
  });
  await Deno.remove(root, { recursive: true });
});

Deno.test("test command: what takes longer than its limit fails by its name", async () => {
  const start = performance.now();
  const { code, lines } = await run({ "tests/hanging_test.ts": HANGING }, ["--limit=1"]);
  assertEquals(code, 1);
  assertEquals(lastLines(lines)[0], "FAILED tests/hanging_test.ts: it took longer than its limit of 1 s");
  assertGreater(performance.now() - start, 990);
});

Deno.test("test command: the full suite has all files, and its length", async () => {
  const { "tests/slow_test.ts": slow } = FILES;
  const { code, lines } = await run({ "tests/slow_test.ts": slow }, ["--full"]);
  assertEquals(code, 0);
  assert(lines.some((line) => line.startsWith("1 ... ok")), lines.join("\n"));
  const named = await run({ "tests/slow_test.ts": slow }, ["tests/slow_test.ts"]);
  assertEquals(named.lines, ["of the full suite alone: deno task test:full tests/slow_test.ts"]);
  assertEquals(named.code, 2);
});

Deno.test("test command: paths and flags of deno test narrow it down", async () => {
  const named = await run(FILES, ["fine", "src/module.ts"]);
  assertEquals([named.code, named.lines], [2, ["no test file is called src/module.ts"]]);
  const page = await run(FILES, ["README.md"]);
  assertEquals(lastLines(page.lines), ["ok | 1 passed | 0 failed | 1 file (s)"]);
  const filtered = await run(FILES, ["tests/deep", "fine", "--filter", "fine"]);
  assertEquals(lastLines(filtered.lines), ["ok | 1 passed | 0 failed | 2 files (s)"]);
});

Deno.test("test command: arguments", () => {
  const { paths, flags, jobs, limitSeconds, full } = parseArguments(
    ["a", "--filter", "b c", "--jobs=4", "--fail-fast", "--limit=9", "--full", "d"],
  );
  assertEquals({ paths, flags, jobs, limitSeconds, full }, {
    paths: ["a", "d"],
    flags: ["--filter=b c", "--fail-fast"],
    jobs: 4,
    limitSeconds: 9,
    full: true,
  });
  for (const arg of ["--jobs", "--jobs=", "--jobs=0", "--jobs=1.5", "--limit=x"]) {
    assertThrows(() => parseArguments([arg]), RangeError);
  }
});

Deno.test("test command: a file says at its head that it is of the full suite, and how long it takes", () => {
  assertEquals(
    readHead("// Full suite: it is long.\n// Limit: 15 minutes.\n//\n// What it tests.\n\nimport 1;\n"),
    {
      fullSuite: "it is long.",
      limitSeconds: 900,
    },
  );
  assertEquals(readHead("// What it tests.\n// Limit: 20 seconds.\n").limitSeconds, 20);
  assertEquals(readHead('import "x";\n// Full suite: not at the head.\n').fullSuite, null);
});

Deno.test("test command: Deno's last line is read", () => {
  const lines = "noise\nok | 3 passed (4 steps) | 0 failed | 2 ignored | 7 filtered out (12ms)\n\n";
  assertEquals(countsIn(lines), { passed: 3, steps: 4, failed: 0, ignored: 2 });
  assertEquals(countsIn("FAILED | 1 passed (1 step) | 2 failed (3 steps) (1s)"), {
    ...{ passed: 1, steps: 1, failed: 2, ignored: 0 },
  });
  assertEquals(countsIn("error: Module not found"), null);
});

Deno.test("test command: every test file of this repository is found", async () => {
  const files = await findTestFiles(new URL("../../", import.meta.url));
  assertGreater(files.length, 120);
  const { args } = files.find(({ name }) => name === EXAMPLES)!;
  assert(args.includes("README.md") && args.includes("mod.ts"), String(args));
  const limits = files.map(({ limitSeconds }) => limitSeconds ?? 0);
  assertEquals(limits, limits.toSorted((a, b) => b - a), "the longest first");
  assert(files.some(({ name }) => name === "tests/tools/test_command_test.ts"));
});
