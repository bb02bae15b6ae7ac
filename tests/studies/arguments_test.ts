import { assertEquals, assertRejects } from "../../testing/assert.ts";
import { parseStartArguments, UsageError } from "../../studies/arguments.ts";

Deno.test("arguments: defaults", async () => {
  assertEquals(await parseStartArguments([], 4805), {
    thresholds: [1, 4, 16, 64, 256],
    errors: [0.001, 0.003, 0.01, 0.03, 0.05],
    days: 4805,
    backend: "auto",
    out: "report",
    folder: null,
    learnFrom: 700,
    seed: 1,
    json: false,
    help: false,
  });
});

Deno.test("arguments: every option; thresholds and budgets repeated, listed, in any order", async () => {
  const given =
    "--threshold 16,4 --threshold=2 --threshold 4 --error .5,1e-3 --error=2 --error 0.5 --days 20 " +
    "--backend array --out x/y --folder a/b --learn-from 9 --seed 0 --json -h";
  assertEquals(await parseStartArguments(given.split(" "), 100), {
    thresholds: [2, 4, 16],
    errors: [0.001, 0.5, 2],
    days: 20,
    backend: "array",
    out: "x/y",
    folder: "a/b",
    learnFrom: 9,
    seed: 0,
    json: true,
    help: true,
  });
});

const WRONG: [args: string, message: string][] = [
  ["--days", "--days has no value, expected one"],
  ["--days --json", "--days has no value, expected one"],
  ["--out=", "--out has no value, expected one"],
  ["--learn-from 2500", '--learn-from is "2500", expected a whole number from 1 to 2499'],
  ["--days 0", '--days is "0", expected a whole number from 1 to 100'],
  ["--days 101", '--days is "101", expected a whole number from 1 to 100'],
  ["--days -5", '--days is "-5", expected a whole number from 1 to 100'],
  ["--days 1e1", '--days is "1e1", expected a whole number from 1 to 100'],
  ["--days 3 --days 4", "--days is given 2 times, expected once"],
  ["--threshold 2.5", '--threshold is "2.5", expected a whole number ≥ 1'],
  ["--threshold 0", '--threshold is "0", expected a whole number ≥ 1'],
  ["--threshold 4,", '--threshold is "", expected a whole number ≥ 1'],
  ["--threshold Infinity", '--threshold is "Infinity", expected a whole number ≥ 1'],
  ["--error 0", '--error is "0", expected a number above 0'],
  ["--error -0.1", '--error is "-0.1", expected a number above 0'],
  ["--error 0.1,", '--error is "", expected a number above 0'],
  ["--error 0x1", '--error is "0x1", expected a number above 0'],
  ["--error 1e999", '--error is "1e999", expected a number above 0'],
  ["--error Infinity", '--error is "Infinity", expected a number above 0'],
  ["--error 1.2.3", '--error is "1.2.3", expected a number above 0'],
  ["--error", "--error has no value, expected one"],
  ["--seed 4294967296", '--seed is "4294967296", expected a whole number from 0 to 4294967295'],
  ["--backend abacus", '--backend is "abacus", expected "auto"'],
  ["--json=yes", '--json takes no value, got "--json=yes"'],
  ["--no-json", '"--no-json" is unknown, expected one of --threshold, --error, --days'],
  ["--thresholds 4", '"--thresholds" is unknown'],
  ["twenty", '"twenty" is unknown'],
  ["-- twenty", '"twenty" is unknown'],
  ["-x", '"-x" is unknown'],
];

Deno.test("arguments: what is wrong is named, with what came and what was expected", async (t) => {
  for (const [args, message] of WRONG) {
    await t.step(args, async () => {
      await assertRejects(() => parseStartArguments(args.split(" "), 100), UsageError, message);
    });
  }
});
