// Runs the writer of `writer.ts` and kills it.

import { fileURLToPath } from "node:url";
import type { WriterSettings } from "./writer.ts";

const WRITER = fileURLToPath(new URL("writer.ts", import.meta.url));
/** A writer that learns. */
export const LEARNER_WRITER = fileURLToPath(new URL("learner_writer.ts", import.meta.url));
const PROGRAM = fileURLToPath(new URL("../../src/durable/mod.ts", import.meta.url));
const CONFIGURATION = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** What a writer said until it ended. */
export interface WriterRun {
  /** The largest batch that was acknowledged; 0 for none. */
  readonly acknowledged: number;
  /** Its lines. */
  readonly lines: readonly string[];
  /** Whether it was killed before it ended by itself. */
  readonly wasKilled: boolean;
}

/** The arguments of `deno` that run the writer. */
export function writerArguments(
  folder: string,
  settings: WriterSettings | { readonly journalBytes: number },
  writer: string = WRITER,
): string[] {
  return programRun(writer, folder, JSON.stringify(settings));
}

/** The arguments of `deno` that run a program which reads and writes files, and may do no more. */
export function programRun(program: string, ...words: readonly string[]): string[] {
  const flags = ["run", "--quiet", "--no-check", "--no-lock", "--config", CONFIGURATION];
  return [...flags, "--allow-read", "--allow-write", program, ...words];
}

/** The arguments of `deno` that run the program of durable folders. */
export function programArguments(...words: string[]): string[] {
  return programRun(PROGRAM, ...words);
}

/**
 * Runs a writer, and kills it as SIGKILL does once `isTime` says so of a line of its output, or after `afterMs`.
 *
 * @param prefix A program and its arguments that the writer is run by, `strace` for example.
 */
export async function runWriter(
  folder: string,
  settings: WriterSettings | { readonly journalBytes: number },
  kill: { readonly isTime?: (line: string) => boolean; readonly afterMs?: number } = {},
  prefix: readonly string[] = [],
  writer: string = WRITER,
): Promise<WriterRun> {
  const [program, ...args] = [...prefix, Deno.execPath(), ...writerArguments(folder, settings, writer)];
  const child = new Deno.Command(program, { args, stdout: "piped", stderr: "null" }).spawn();
  let wasKilled = false;
  const end = () => {
    wasKilled = true;
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  const timer = kill.afterMs === undefined ? null : setTimeout(end, kill.afterMs);
  const lines: string[] = [];
  let rest = "", acknowledged = 0;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() as string;
    for (const line of parts) {
      lines.push(line);
      if (line.startsWith("ack ")) acknowledged = Math.max(acknowledged, Number(line.slice(4)));
      if (!wasKilled && kill.isTime?.(line)) end();
    }
  }
  if (timer !== null) clearTimeout(timer);
  await child.status;
  return { acknowledged, lines, wasKilled };
}
