// The arguments of `deno task test`: what to run, and what to hand on to `deno test`.

import { parseArgs } from "node:util";

export const HELP = `deno task test [PATH …] [--jobs=N] [--limit=SECONDS] [--verbose] [FLAG …]
deno task test:full [PATH …] …

  PATH             a file, a folder or a part of a path; everything unless given. A page of documentation or
                   a source: its examples
  --full           the full suite, with random tests at full length, as deno task test:full
  --jobs=N         how many processes run at once; three for two cores unless given
  --limit=SECONDS  how long a file may take, whatever it says itself
  --verbose        shows all output, not only that of failures
  -h, --help       prints this
  FLAG             any other flag goes to deno test, as --filter=NAME or --fail-fast`;

/** The options of the command line. */
export interface Arguments {
  readonly paths: readonly string[];
  readonly full: boolean;
  readonly jobs: number | null;
  readonly limitSeconds: number | null;
  readonly verbose: boolean;
  readonly help: boolean;
  /** Flags of `deno test`. */
  readonly flags: readonly string[];
}

/** @throws {RangeError} When a number is none that can be meant. */
export function parseArguments(args: readonly string[]): Arguments {
  const { tokens } = parseArgs({
    args: [...args],
    options: {
      full: { type: "boolean" },
      verbose: { type: "boolean" },
      help: { type: "boolean", short: "h" },
      jobs: { type: "string" },
      limit: { type: "string" },
      // A flag of `deno test` whose value may follow as an argument of its own.
      filter: { type: "string" },
    },
    allowPositionals: true,
    // Flags that are not known here are handed on.
    strict: false,
    tokens: true,
  });
  const paths: string[] = [], flags: string[] = [], handedOn = new Set<number>();
  const given = new Map<string, string | undefined>();
  for (const token of tokens) {
    if (token.kind === "positional") paths.push(token.value);
    else if (token.kind === "option-terminator") continue;
    else if (token.name === "filter" && token.value !== undefined) flags.push(`--filter=${token.value}`);
    else if (OWN.includes(token.name)) given.set(token.name, token.value);
    else handedOn.add(token.index);
  }
  // Letters in one argument are one flag.
  for (const index of handedOn) flags.push(args[index]);
  return {
    paths,
    full: given.has("full"),
    jobs: given.has("jobs") ? toCount("--jobs", given.get("jobs")) : null,
    limitSeconds: given.has("limit") ? toCount("--limit", given.get("limit")) : null,
    verbose: given.has("verbose"),
    help: given.has("help"),
    flags,
  };
}

const OWN = ["full", "verbose", "help", "jobs", "limit"];

function toCount(name: string, value: string | undefined): number {
  const count = Number(value);
  if (value === undefined || value === "" || !Number.isInteger(count) || count < 1) {
    throw new RangeError(`${name} is ${value ?? "given without a value"}, expected a whole number from 1 on`);
  }
  return count;
}
