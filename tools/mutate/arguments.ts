// The arguments of `deno task mutate`.

export const HELP =
  `deno task mutate [--count=N] [--seed=N] [--file=PATH[:LINE]] [--except=PATH] [--tests=PATH]
                 [--jobs=N] [--limit=SECONDS] [--list]

  --count=N          how many mutants; 50 unless given, or all of the files named
  --seed=N           which ones: the same seed takes the same; 1 unless given
  --file=PATH[:LINE] a source or a folder, and a line of it alone; may be given again. All of them unless given
  --except=PATH      sources to leave alone, by the beginning of their paths; may be given again
  --tests=PATH       tests to run alone, by the beginning of their paths; may be given again
  --jobs=N           how many are tried at once, each in a copy of the tree; one unless given
  --limit=SECONDS    how long a mutant may be tested; 90 unless given
  --list             prints the mutants and tries none
  -h, --help         prints this`;

/** A part of the sources. */
export interface Place {
  /** A file, or a folder's beginning of paths. */
  readonly path: string;
  /** One line alone; null for all. */
  readonly line: number | null;
}

/** What the command line asks for. */
export interface Arguments {
  /** Null for the usual: all where places are given, else fifty. */
  readonly count: number | null;
  readonly seed: number;
  readonly places: readonly Place[];
  /** Beginnings of paths that are left alone. */
  readonly exceptions: readonly string[];
  /** Beginnings of the paths of tests; all tests if there is none. */
  readonly tests: readonly string[];
  readonly jobs: number;
  readonly limitSeconds: number;
  readonly list: boolean;
  readonly help: boolean;
}

/** @throws {RangeError} When an argument is unknown, or its number none that can be meant. */
export function parseArguments(args: readonly string[]): Arguments {
  const places: Place[] = [], exceptions: string[] = [], tests: string[] = [];
  const numbers: Record<string, number | null> = { count: null, seed: 1, jobs: 1, limit: 90 };
  let list = false, help = false;
  for (const arg of args) {
    const [, name, value] = /^--(\w+)=(.+)$/.exec(arg) ?? [];
    if (arg === "--list") list = true;
    else if (arg === "--help" || arg === "-h") help = true;
    else if (name === "file") places.push(toPlace(value));
    else if (name === "except") exceptions.push(toPlace(value).path);
    else if (name === "tests") tests.push(toPlace(value).path);
    else if (name !== undefined && name in numbers) numbers[name] = toCount(`--${name}`, value);
    else throw new RangeError(`${arg} is no argument of deno task mutate; see --help`);
  }
  const { count, seed, jobs, limit } = numbers;
  return { count, seed: seed!, places, exceptions, tests, jobs: jobs!, limitSeconds: limit!, list, help };
}

function toPlace(value: string): Place {
  const [, path, line] = /^(?:\.\/)?(.+?)(?::(\d+))?$/.exec(value)!;
  return { path, line: line === undefined ? null : Number(line) };
}

function toCount(name: string, value: string): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1) {
    throw new RangeError(`${name} is ${value}, expected a whole number from 1 on`);
  }
  return count;
}
