// The command line of a program with a few options. `--help` prints how the program is called, and an argument that it does
// not take prints what is wrong and what it takes: nobody who mistypes a name sees a stack trace.

import { parseArgs } from "node:util";

/** An option of a program. */
export interface ProgramOption {
  readonly type: "string" | "boolean";
  /** A sentence that says what the option does, for `--help`. */
  readonly about: string;
  /** The name of its value, for `--help`; "VALUE" unless given. */
  readonly value?: string;
  /** The value unless one is given. */
  readonly default?: string;
}

type OptionTable = Readonly<Record<string, ProgramOption>>;

/** A program, as `--help` describes it. */
export interface Program<Options extends OptionTable> {
  /** The name of its task. */
  readonly task: string;
  /** A sentence that says what the program does. */
  readonly about: string;
  readonly options: Options;
  /** What may follow the options, "NAME …" for example; nothing may unless this is given. */
  readonly rest?: string;
}

type ValueOf<Option extends ProgramOption> = Option["type"] extends "boolean" ? boolean
  : Option extends { readonly default: string } ? string
  : string | undefined;

/** The options and names of a command line. */
export interface Arguments<Options extends OptionTable> {
  readonly values: { readonly [Name in keyof Options]: ValueOf<Options[Name]> };
  readonly rest: readonly string[];
}

/** A text that is printed instead of running the program, and the exit code that goes with it. */
export interface Refusal {
  readonly text: string;
  readonly code: 0 | 2;
}

/** Reads a command line; a {@link Refusal} where it asks for help or has an argument that the program does not take. */
export function readArguments<const Options extends OptionTable>(
  args: readonly string[],
  program: Program<Options>,
): Arguments<Options> | Refusal {
  const { task, options, rest } = program;
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(Object.entries(options).map(([name, { type }]) => [name, { type }])),
    allowPositionals: true,
    strict: false, // mistakes are told below, in words of the program
    tokens: true,
  });
  const values: Record<string, string | boolean | undefined> = {}, others: string[] = [];
  for (const [name, option] of Object.entries(options)) {
    values[name] = option.type === "boolean" ? false : option.default;
  }
  const refuse = (what: string): Refusal => ({ text: `${task}: ${what}\n\n${usageOf(program)}`, code: 2 });
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      if (rest === undefined) return refuse(`${JSON.stringify(token.value)} is unknown`);
      others.push(token.value);
      continue;
    }
    const { name, value } = token;
    if (name === "help" || name === "h") return { text: usageOf(program), code: 0 };
    if (!Object.hasOwn(options, name)) return refuse(`${JSON.stringify(args[token.index])} is unknown`);
    const hasValue = value !== undefined && value !== "";
    if (options[name].type === "boolean" && value !== undefined) return refuse(`--${name} takes no value`);
    if (options[name].type === "string" && !hasValue) return refuse(`--${name} has no value, expected one`);
    values[name] = value ?? true;
  }
  return { values: values as Arguments<Options>["values"], rest: others };
}

/** Reads the command line of this process; where it asks for help or is wrong, says so and ends the process. */
export function takeArguments<const Options extends OptionTable>(
  program: Program<Options>,
): Arguments<Options> {
  const given = readArguments(Deno.args, program);
  if (!("text" in given)) return given;
  if (given.code === 0) console.log(given.text);
  else console.error(given.text);
  Deno.exit(given.code);
}

/** How a program is called. */
export function usageOf<Options extends OptionTable>(
  { task, about, options, rest }: Program<Options>,
): string {
  const rows = Object.entries(options).map(([name, option]) => {
    const value = option.type === "boolean" ? "" : `=${option.value ?? "VALUE"}`;
    const usual = option.default === undefined ? "" : ` (${option.default} unless given)`;
    return [`--${name}${value}`, `${option.about}${usual}`];
  });
  rows.push(["-h, --help", "print this"]);
  const width = Math.max(...rows.map(([name]) => name.length));
  const call = ["deno task", task, "[OPTION …]", ...rest === undefined ? [] : [`[${rest}]`]].join(" ");
  return [about, "", `Usage: ${call}`, "", ...rows.map(([name, what]) => `  ${name.padEnd(width)}  ${what}`)]
    .join("\n");
}
