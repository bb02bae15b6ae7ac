/**
 * The command line of the kernel.
 */

import { KernelError } from "../errors.ts";
import { type Allowance, type FrontEnd, PERMISSIONS, type Permissions } from "../prelude/bridge.ts";

/** The contents of a command line. */
export interface Arguments {
  /** The words that are no options. */
  readonly words: readonly string[];
  readonly name?: string;
  readonly display?: string;
  readonly prefix?: string;
  /** Null where nothing is said, and all is allowed. */
  readonly permissions: Permissions | null;
  readonly widgets?: FrontEnd;
  /** The options that are meant for the start, as they were. */
  readonly startArguments: readonly string[];
}

const TEXTS = ["name", "display", "prefix"] as const;
const WIDGETS: Readonly<Record<string, FrontEnd>> = {
  "6": { ipywidgets: 6, anywidget: false },
  "7": { ipywidgets: 7, anywidget: false },
  "8": { ipywidgets: 8, anywidget: false },
  anywidget: { ipywidgets: null, anywidget: true },
};

/** Reads it. Throws a `KernelError` for what nobody knows. */
export function parseArguments(args: readonly string[]): Arguments {
  const words: string[] = [], startArguments: string[] = [];
  const texts: { name?: string; display?: string; prefix?: string } = {};
  const permissions: { -readonly [kind in keyof Permissions]: Allowance } = {};
  let widgets: FrontEnd | undefined;
  for (let at = 0; at < args.length; at++) {
    if (!args[at].startsWith("--")) {
      words.push(args[at]);
      continue;
    }
    const [option, value] = split(args[at].slice(2));
    const text = TEXTS.find((name) => name === option);
    const kind = PERMISSIONS.find((name) => `allow-${name}` === option);
    if (text) texts[text] = value ?? args[++at] ?? refuse(`--${option} has no value`, "one");
    else if (kind) {
      permissions[kind] = value === null ? true : value.split(",").filter(Boolean);
      startArguments.push(args[at]);
    } else if (option === "allow-all") continue;
    else if (option === "widgets") {
      widgets = WIDGETS[value ?? ""] ?? refuse(`--widgets is ${value}`, Object.keys(WIDGETS).join(", "));
      startArguments.push(args[at]);
    } else refuse(`--${option} is unknown`, "--name, --display, --prefix, --allow-… or --widgets");
  }
  const isRestricted = Object.keys(permissions).length > 0;
  if (isRestricted) checkWhole(permissions);
  return {
    words,
    ...texts,
    permissions: isRestricted ? permissions : null,
    ...(widgets ? { widgets } : {}),
    startArguments,
  };
}

/** Any file can be imported, and any address, by a worker for one: who may not read must not be told that they cannot. */
const WHOLE = ["read", "net", "import"] as const;

function checkWhole(permissions: Permissions): void {
  const short = WHOLE.filter((kind) => permissions[kind] !== true);
  if (short.length === 0) return;
  refuse(
    `${
      short.map((kind) => `--allow-${kind}`).join(", ")
    } cannot be restricted, since imports read files and addresses`,
    "--allow-read, --allow-net and --allow-import without a list beside other restrictions, or none",
  );
}

function split(option: string): [name: string, value: string | null] {
  const at = option.indexOf("=");
  return at === -1 ? [option, null] : [option.slice(0, at), option.slice(at + 1)];
}

function refuse(actual: string, expected: string): never {
  throw new KernelError("parseArguments", `${actual}, expected ${expected}`);
}
