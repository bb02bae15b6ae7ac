/**
 * Programs that cells start, and that write to the streams of the kernel: what they write is shown below the cell that has
 * started them. The stock kernel keeps it.
 *
 * Invariant: who starts such a program sees the same as elsewhere: streams that are not piped cannot be read, and its status
 * comes after what it has written.
 */

import childProcess from "node:child_process";
import process from "node:process";
import {
  Deno,
  Map,
  Object,
  Promise,
  Reflect,
  setTimeout,
  TextDecoder,
  TypeError,
  Uint8Array,
} from "../natives.ts";
import type { Origin } from "./outputs.ts";
import type { Write } from "./stdio.ts";

type StreamName = "stdout" | "stderr";
type Options = Deno.CommandOptions;
type Output = Deno.CommandOutput;

const STREAMS: readonly StreamName[] = ["stdout", "stderr"];
/** At most this many letters are shown at once, and the next ones after a pause: a flooded front end could not be stopped. */
const BURST = 2 ** 20, BURST_MS = 50;
/** A program that was started by the program may keep a stream open: it is waited for so long. */
const REST_MS = 100;

/** The programs that run and write to the cell that has started them. */
export class ShownPrograms {
  readonly #running = new Map<Program, Origin | null>();

  /** Takes one that a cell has started; gives it back. */
  add(program: Program, origin: Origin | null): void {
    this.#running.set(program, origin);
  }

  /** It has ended. */
  delete(program: Program): void {
    this.#running.delete(program);
  }

  /** Stops those of a cell, as a terminal does. */
  interrupt({ kind, id }: Origin): void {
    for (const [program, origin] of this.#running) {
      if (origin?.kind !== kind || origin.id !== id) continue;
      try {
        program.kill("SIGINT");
      } catch {
        // It has ended.
      }
    }
  }
}

/** A process of `Deno` or of Node. */
interface Program {
  kill(signal: "SIGINT"): unknown;
}

/** The ways from a program to a cell. */
interface Way {
  readonly write: Write;
  readonly originNow: () => Origin | null;
  readonly programs: ShownPrograms;
}

/** Replaces `Deno.Command`, and the functions of `node:child_process`. */
export function replacePrograms(way: Way): void {
  const { write } = way;
  const Native = Deno.Command;
  /** As the runtime's, but for streams that are the kernel's. */
  class Command {
    readonly #command: string | URL;
    readonly #options: Options;

    constructor(command: string | URL, options: Options = {}) {
      // It says what is wrong with them.
      new Native(command, options);
      this.#command = command;
      this.#options = { ...options };
    }

    spawn(): Deno.ChildProcess {
      const shown = shownOf(this.#options, "inherit");
      return withShown(new Native(this.#command, pipedFor(this.#options, shown)).spawn(), shown, way);
    }

    async output(): Promise<Output> {
      const shown = shownOf(this.#options, "piped");
      return showOutput(
        await new Native(this.#command, pipedFor(this.#options, shown)).output(),
        shown,
        write,
      );
    }

    outputSync(): Output {
      const shown = shownOf(this.#options, "piped");
      return showOutput(new Native(this.#command, pipedFor(this.#options, shown)).outputSync(), shown, write);
    }
  }
  Object.defineProperty(Deno, "Command", {
    value: Command,
    configurable: true,
    writable: true,
    enumerable: true,
  });
  replaceNode(way);
}

/** The streams that are those of the kernel. */
function shownOf(options: Options, unless: "inherit" | "piped"): StreamName[] {
  return STREAMS.filter((name) => (options[name] ?? unless) === "inherit");
}

function pipedFor(options: Options, shown: readonly StreamName[]): Options {
  return { ...options, ...Object.fromEntries(shown.map((name) => [name, "piped"])) };
}

function hide(object: object, names: readonly StreamName[]): void {
  for (const name of names) {
    Object.defineProperty(object, name, {
      configurable: true,
      enumerable: false,
      get: () => {
        throw new TypeError(`Cannot get '${name}': '${name}' is not piped`);
      },
    });
  }
}

function withShown(
  child: Deno.ChildProcess,
  shown: readonly StreamName[],
  { write, originNow, programs }: Way,
): Deno.ChildProcess {
  if (shown.length === 0) return child;
  const origin = originNow();
  programs.add(child, origin);
  const tell: Write = (name, text) => write(name, text, origin);
  const pumps = Promise.all(shown.map((name) => pump(child[name], name, tell)));
  const ended = child.status;
  const status = ended.then(async (status) => {
    programs.delete(child);
    await Promise.race([pumps, pause(REST_MS)]);
    return status;
  });
  const bytesOf = async (name: StreamName) => shown.includes(name) ? null : await readAll(child[name]);
  const output = async () => {
    const [stdout, stderr, end] = await Promise.all([bytesOf("stdout"), bytesOf("stderr"), status]);
    const result = { ...end, stdout, stderr };
    hide(result, shown);
    return result as Output;
  };
  hide(child, shown);
  Object.defineProperties(child, {
    status: { value: status, configurable: true },
    output: { value: output, configurable: true, writable: true },
  });
  return child;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function pump(stream: ReadableStream<Uint8Array>, name: StreamName, write: Write): Promise<void> {
  const decoder = new TextDecoder();
  let left = BURST;
  try {
    for await (const bytes of stream) {
      write(name, decoder.decode(bytes, { stream: true }));
      left -= bytes.length;
      if (left > 0) continue;
      await pause(BURST_MS);
      left = BURST;
    }
  } catch {
    // The program has been ended already.
  }
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const bytes of stream) pieces.push(bytes);
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  pieces.reduce((at, piece) => (all.set(piece, at), at + piece.length), 0);
  return all;
}

function showOutput(output: Output, shown: readonly StreamName[], write: Write): Output {
  for (const name of shown) write(name, new TextDecoder().decode(output[name]));
  hide(output, shown);
  return output;
}

type NodeOptions = { stdio?: unknown } & Record<string, unknown>;
type NodeFunction = (...args: unknown[]) => unknown;

/** The parts of a process of Node that are used. */
interface NodeChild extends Record<StreamName, NodeStream | null>, Program {
  on(event: "close", listener: () => void): void;
}

interface NodeStream {
  on(event: "data", listener: (bytes: Uint8Array) => void): void;
  pause(): void;
  resume(): void;
}

/** The functions that take `stdio`. */
function replaceNode({ write, originNow, programs }: Way): void {
  const natives = { ...childProcess } as unknown as Record<string, NodeFunction>;
  const define = (name: string, value: NodeFunction) => {
    Object.defineProperties(value, { name: { value: name } });
    Reflect.set(childProcess, name, value);
  };
  const text = (data: unknown) =>
    data instanceof Uint8Array ? new TextDecoder().decode(data) : `${data ?? ""}`;
  const started = (name: "spawn" | "fork", args: unknown[], stdio?: readonly string[]) => {
    const { given, shown } = nodeShown(args, stdio);
    // Its events may come as a part of another cell.
    const child = natives[name](...given) as NodeChild, origin = originNow();
    if (shown.length > 0) {
      programs.add(child, origin);
      child.on("close", () => programs.delete(child));
    }
    for (const name of shown) {
      const decoder = new TextDecoder(), stream = child[name];
      let left = BURST;
      stream?.on("data", (bytes: Uint8Array) => {
        write(name, decoder.decode(bytes, { stream: true }), origin);
        left -= bytes.length;
        if (left > 0) return;
        left = BURST;
        stream.pause();
        setTimeout(() => stream.resume(), BURST_MS);
      });
      child[name] = null;
    }
    return child;
  };
  define("spawn", (...args) => started("spawn", args));
  // A module that is forked has the streams of its parent, unless it is to be silent.
  define("fork", (...args) => started("fork", args, ["inherit", "inherit", "inherit", "ipc"]));
  define("spawnSync", (...args) => {
    const { given, shown } = nodeShown(args);
    const result = natives.spawnSync(...given) as Record<string, unknown> & { output?: unknown[] };
    for (const name of shown) {
      write(name, text(result[name]));
      result[name] = null;
      if (result.output) result.output[STREAMS.indexOf(name) + 1] = null;
    }
    return result;
  });
  for (const name of ["execSync", "execFileSync"]) {
    define(name, (...args) => {
      const { given, shown, options } = nodeShown(args);
      if (!shown.includes("stdout")) return natives[name](...args);
      // Unless options say otherwise, what the program writes to stderr goes to `process.stderr`.
      const { stdio: _, ...rest } = options;
      write("stdout", text(natives[name](...given.slice(0, -1), rest)));
      return null;
    });
  }
}

/**
 * The arguments with pipes in place of the kernel's own streams, and which those were. `unless` is what `stdio` is where it is
 * not given.
 */
function nodeShown(
  args: readonly unknown[],
  unless?: readonly string[],
): { given: unknown[]; shown: StreamName[]; options: NodeOptions } {
  const at = args.findIndex((arg, at) => at > 0 && typeof arg === "object" && arg !== null && !isList(arg));
  const options = (at === -1 ? {} : args[at]) as NodeOptions;
  const stdio = options.stdio ?? (options.silent ? undefined : unless);
  const each = isList(stdio) ? stdio : [stdio, stdio, stdio, ...(unless ? ["ipc"] : [])];
  const shown = STREAMS.filter((name, at) =>
    each[at + 1] === "inherit" || each[at + 1] === at + 1 || each[at + 1] === process[name]
  );
  if (shown.length === 0) return { given: [...args], shown, options };
  const piped = [...each].map((item, at) => shown.includes(STREAMS[at - 1]) ? "pipe" : item ?? "pipe");
  const given = [...args];
  given[at === -1 ? given.length : at] = { ...options, stdio: piped };
  return { given, shown, options };
}

function isList(value: unknown): value is readonly unknown[] {
  return typeof value === "object" && value !== null && "length" in value;
}
