// The arguments of `deno task test`: what to run, and what to hand on to `deno test`.

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

/** What the command line asks for. */
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

/** Flags of `deno test` whose value may follow as an argument of its own. */
const WITH_VALUE = ["--filter"];

/** @throws {RangeError} When a number is none that can be meant. */
export function parseArguments(args: readonly string[]): Arguments {
  const paths: string[] = [], flags: string[] = [];
  let full = false,
    jobs: number | null = null,
    limitSeconds: number | null = null,
    verbose = false,
    help = false;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at];
    const [name, value] = splitOnce(arg, "=");
    if (!arg.startsWith("-")) paths.push(arg);
    else if (arg === "--full") full = true;
    else if (arg === "--verbose") verbose = true;
    else if (arg === "--help" || arg === "-h") help = true;
    else if (name === "--jobs") jobs = toCount(name, value);
    else if (name === "--limit") limitSeconds = toCount(name, value);
    else if (WITH_VALUE.includes(arg) && at + 1 < args.length) flags.push(`${arg}=${args[++at]}`);
    else flags.push(arg);
  }
  return { paths, full, jobs, limitSeconds, verbose, help, flags };
}

function splitOnce(text: string, separator: string): [string, string | null] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}

function toCount(name: string, value: string | null): number {
  const count = Number(value);
  if (value === null || value === "" || !Number.isInteger(count) || count < 1) {
    throw new RangeError(`${name} is ${value ?? "given without a value"}, expected a whole number from 1 on`);
  }
  return count;
}
