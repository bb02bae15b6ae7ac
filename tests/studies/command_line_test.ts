// Command lines of programs: values and flags come out as they were given, and a mistake is told with what the program takes.

import { type Program, readArguments, usageOf } from "../../studies/command_line.ts";
import { assert, assertEquals, assertStringIncludes } from "../../testing/assert.ts";

const OPTIONS = {
  seconds: { type: "string", value: "N", default: "20", about: "how long the board is shown" },
  only: { type: "string", about: "one of them alone" },
  check: { type: "boolean", about: "only compare" },
} as const;
const ALONE: Program<typeof OPTIONS> = { task: "board", about: "Shows a board.", options: OPTIONS };
const WITH_NAMES = { ...ALONE, rest: "NAME …" };

Deno.test("values, flags and names come out as they were given, and defaults where nothing was", () => {
  assertEquals(readArguments([], ALONE), {
    values: { seconds: "20", only: undefined, check: false },
    rest: [],
  });
  assertEquals(readArguments(["--seconds=5", "--only", "births", "--check", "one", "two"], WITH_NAMES), {
    values: { seconds: "5", only: "births", check: true },
    rest: ["one", "two"],
  });
});

Deno.test("help says how the program is called, with the name of each value and what it is unless given", () => {
  for (const help of ["--help", "-h"]) {
    assertEquals(readArguments([help], ALONE), { text: usageOf(ALONE), code: 0 });
  }
  assertEquals(
    usageOf(WITH_NAMES),
    `Shows a board.

Usage: deno task board [OPTION …] [NAME …]

  --seconds=N   how long the board is shown (20 unless given)
  --only=VALUE  one of them alone
  --check       only compare
  -h, --help    print this`,
  );
});

Deno.test("a mistake is told by name, with how the program is called, and exit code 2", () => {
  const mistakes = [
    [["--nonsense"], 'board: "--nonsense" is unknown'],
    [["--constructor=1"], 'board: "--constructor=1" is unknown'],
    [["name"], 'board: "name" is unknown'],
    [["--seconds"], "board: --seconds has no value, expected one"],
    [["--seconds="], "board: --seconds has no value, expected one"],
    [["--check=yes"], "board: --check takes no value"],
  ] as const;
  for (const [args, message] of mistakes) {
    const given = readArguments(args, ALONE);
    assert("text" in given, args.join(" "));
    assertEquals(given.code, 2);
    assertEquals(given.text.split("\n")[0], message);
    assertStringIncludes(given.text, usageOf(ALONE));
  }
});

Deno.test("the programs of tasks answer --help and an unknown option without a stack trace", async () => {
  const ROOT = new URL("../../", import.meta.url);
  for (const program of ["studies/readers.ts"]) {
    for (const [option, expected] of [["--help", 0], ["--nonsense", 2]] as const) {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--no-check", "--allow-read", program, option],
        cwd: ROOT,
        env: { NO_COLOR: "1" },
      }).output();
      const text = new TextDecoder().decode(expected === 0 ? stdout : stderr);
      assertEquals(code, expected, `${program} ${option}: ${text}`);
      assertStringIncludes(text, "Usage: deno task");
      assert(!text.includes("    at "), text);
    }
  }
});
