// The options of `deno task start`. What leaves this file is complete and in range; what is not is a
// UsageError that names the option, what came and what was expected.

import { parseArgs } from "node:util";
import type { BackendName } from "../src/backends/select.ts";
import { attention } from "../src/engine/attention.ts";
import { InputError } from "../src/base/errors.ts";
import type { ExperimentOptions } from "./experiment.ts";
import { LEARNT_DAYS } from "./board_rows.ts";
import { FIRST_LEARNED } from "./learned_forecast.ts";
import { DEFAULT_ERRORS, DEFAULT_THRESHOLDS } from "./strategies.ts";

export interface StartOptions extends ExperimentOptions {
  /** The folder that the report goes to. */
  readonly out: string;
  /** The folder that keeps the board, where it is to survive; null where the experiment is run. */
  readonly folder: string | null;
  /**
   * The day of the file from which on the board with learning learns; those before it are only remembered.
   */
  readonly learnFrom: number;
  /** The result as JSON on standard output, and nothing else there. */
  readonly json: boolean;
  readonly help: boolean;
}

/** The error of a wrong command line, with a message for its author. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const HELP =
  `Forecasts daily births in the USA from attention that stays current, and compares ways to keep it so.

Usage: deno task start [options]

  --threshold N    the lazy threshold to sweep; repeat it or write a list, 4,16 (default ${
    DEFAULT_THRESHOLDS.join(",")
  })
  --error N        the error budget and target error to sweep, where 1 is the level of births; repeat it or write a
                   list, 0.01,0.003 (default ${DEFAULT_ERRORS.join(",")})
  --days N         how many days to run over (default: all there are)
  --backend NAME   where the engine computes (default auto)
  --out FOLDER     where index.html is written (default report)
  --folder FOLDER  keep the board in a folder instead: a day is on disk before the next one is learnt, and a run that
                   was killed is gone on with
  --learn-from N   the day of the file, from 0, from which on the board with learning learns (default ${FIRST_LEARNED})
  --seed N         draws the days on which exact reads are audited (default 1)
  --json           print the result as JSON
  -h, --help       print this`;

const VALUES = ["threshold", "error", "days", "backend", "out", "folder", "learn-from", "seed"];
const FLAGS = ["json", "help"];
const LARGEST_SEED = 2 ** 32 - 1;

/** The options in `args`; `availableDays` is the most that `--days` may ask for. */
export async function parseStartArguments(
  args: readonly string[],
  availableDays: number,
): Promise<StartOptions> {
  const { values, json, help } = split(args);
  const days = single(values, "days");
  const seed = single(values, "seed");
  const learnFrom = single(values, "learn-from");
  return {
    thresholds: toThresholds(values.threshold),
    errors: toErrors(values.error),
    days: days === undefined ? availableDays : toInteger("days", days, 1, availableDays),
    backend: await toBackend(single(values, "backend") ?? "auto"),
    out: single(values, "out") ?? "report",
    folder: single(values, "folder") ?? null,
    learnFrom: learnFrom === undefined
      ? FIRST_LEARNED
      : toInteger("learn-from", learnFrom, 1, LEARNT_DAYS - 1),
    seed: seed === undefined ? 1 : toInteger("seed", seed, 0, LARGEST_SEED),
    json,
    help,
  };
}

/** The values of each option in the order in which they came, and the flags. */
function split(args: readonly string[]) {
  const { tokens } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(VALUES.map((name) => [name, { type: "string" }] as const)),
      json: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
    allowPositionals: true,
    // Errors are reported below, in this command's own words.
    strict: false,
    tokens: true,
  });
  const values: Record<string, string[]> = Object.fromEntries(VALUES.map((name) => [name, []]));
  const flags = new Set<string>();
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") throw unknown(token.value);
    const { name, value, inlineValue, index } = token;
    if (FLAGS.includes(name)) {
      if (value !== undefined) throw new UsageError(`--${name} takes no value, got ${quote(args[index])}`);
      flags.add(name);
    } else if (VALUES.includes(name)) {
      // Another option after the name is no value, a negative number is one, which is out of range.
      const isValue = value !== undefined && value !== "" && (inlineValue || !/^-(?!\d|\.\d)/.test(value));
      if (!isValue) throw new UsageError(`--${name} has no value, expected one`);
      values[name].push(value);
    } else throw unknown(args[index]);
  }
  return { values, json: flags.has("json"), help: flags.has("help") };
}

function unknown(argument: string): UsageError {
  const known = [...VALUES, ...FLAGS].map((name) => `--${name}`).join(", ");
  return new UsageError(`${quote(argument)} is unknown, expected one of ${known}`);
}

function single(values: Record<string, string[]>, name: string): string | undefined {
  const given = values[name];
  if (given.length > 1) throw new UsageError(`--${name} is given ${given.length} times, expected once`);
  return given[0];
}

function toThresholds(given: readonly string[]): readonly number[] {
  if (given.length === 0) return DEFAULT_THRESHOLDS;
  return toSet(given, (text) => toInteger("threshold", text, 1, Number.MAX_SAFE_INTEGER));
}

function toErrors(given: readonly string[]): readonly number[] {
  if (given.length === 0) return DEFAULT_ERRORS;
  return toSet(given, (text) => {
    const number = Number(text);
    if (!/^[\d.]+(e[+-]?\d+)?$/i.test(text) || !(number > 0 && number < Infinity)) {
      throw new UsageError(`--error is ${quote(text)}, expected a number above 0`);
    }
    return number;
  });
}

/** The numbers in lists that are separated by commas, each once, the smallest first. */
function toSet(lists: readonly string[], toNumber: (text: string) => number): number[] {
  const numbers = lists.flatMap((list) => list.split(",")).map(toNumber);
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function toInteger(name: string, text: string, smallest: number, largest: number): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !(number >= smallest && number <= largest)) {
    const range = largest === Number.MAX_SAFE_INTEGER ? `≥ ${smallest}` : `from ${smallest} to ${largest}`;
    throw new UsageError(`--${name} is ${quote(text)}, expected a whole number ${range}`);
  }
  return number;
}

/** Asks the engine itself, so that this file need not know which backends there are. */
async function toBackend(name: string): Promise<BackendName> {
  const backend = name as BackendName;
  try {
    await attention({ query: [[0]], key: [[0]], value: [[0]], backend });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new UsageError(`--backend is ${quote(name)}, expected ${error.expected}`);
  }
  return backend;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
