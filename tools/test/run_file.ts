// One file in a process of its own, which is ended when it takes too long.

import { killTree } from "./process_tree.ts";
import type { TestFile } from "./test_files.ts";

/** How a file is run. */
export interface RunOptions {
  /** The folder in which `deno test` is started. */
  readonly root: URL;
  /** Flags of `deno test`, before the file. */
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly limitSeconds: number;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

/** Numbers of tests. */
export interface Counts {
  readonly passed: number;
  readonly steps: number;
  readonly failed: number;
  readonly ignored: number;
}

/** The result of a file. */
export interface Outcome {
  readonly file: TestFile;
  readonly counts: Counts;
  readonly seconds: number;
  readonly output: string;
  /** Why it is red; null where it is green. */
  readonly failure: string | null;
  /** An irregularity that is no failure. */
  readonly remark: string | null;
}

/**
 * Between the end of a process and that of its output, where a process that it left behind still holds that.
 */
const LAST_WORDS_MS = 2000;
/** Deno, aborted by the C library. */
const ABORTED = 134;

/** Runs a file. */
export async function runFile(file: TestFile, options: RunOptions): Promise<Outcome> {
  const first = await runOnce(file, options);
  // Deno may abort as it ends, when it has computed on a software device; see docs/internals/webgpu.md.
  if (first.code !== ABORTED || first.counts === null || first.counts.failed > 0) {
    return toOutcome(file, first, null);
  }
  return toOutcome(file, await runOnce(file, options), "Deno aborted after its tests had passed; ran again");
}

interface Run {
  readonly code: number;
  readonly seconds: number;
  readonly output: string;
  readonly counts: Counts | null;
  /** Why it was ended; null where it ended by itself. */
  readonly end: string | null;
}

async function runOnce(file: TestFile, options: RunOptions): Promise<Run> {
  const { root, flags, env, limitSeconds, signal } = options;
  const start = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", ...flags, ...file.args],
    cwd: root,
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let end: string | null = null;
  const finish = async (reason: string) => {
    end ??= reason;
    await killTree(child.pid);
  };
  const interrupt = () => void finish("it was interrupted");
  const timer = setTimeout(
    () => finish(`it took longer than its limit of ${limitSeconds} s`),
    limitSeconds * 1000,
  );
  signal.addEventListener("abort", interrupt);
  if (signal.aborted) interrupt();
  try {
    const stop = new AbortController();
    const output = readAll([child.stdout, child.stderr], stop.signal);
    const { code } = await child.status;
    const cutOff = setTimeout(() => stop.abort(), LAST_WORDS_MS);
    const text = await output;
    clearTimeout(cutOff);
    return { code, seconds: (performance.now() - start) / 1000, output: text, counts: countsIn(text), end };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", interrupt);
  }
}

function toOutcome(file: TestFile, run: Run, remark: string | null): Outcome {
  const { code, seconds, output, counts, end } = run;
  const failure = end ??
    (code === 0
      ? null
      : counts === null
      ? `it ended with exit code ${code} before its tests did`
      : counts.failed === 0
      ? `its tests passed, but it ended with exit code ${code}`
      : `${counts.failed} failed`);
  return { file, counts: counts ?? NO_COUNTS, seconds, output, failure, remark };
}

const NO_COUNTS: Counts = { passed: 0, steps: 0, failed: 0, ignored: 0 };

/**
 * The numbers in Deno's last line, "ok | 12 passed (3 steps) | 0 failed | 1 ignored (2s)"; null without one.
 */
export function countsIn(output: string): Counts | null {
  const [line] = output.match(/^(ok|FAILED) \| .*\d+ passed.*$/gm)?.slice(-1) ?? [];
  if (line === undefined) return null;
  const number = (pattern: RegExp) => Number(pattern.exec(line)?.[1] ?? 0);
  return {
    passed: number(/(\d+) passed/),
    steps: number(/passed \((\d+) step/),
    failed: number(/(\d+) failed/),
    ignored: number(/(\d+) ignored/),
  };
}

/** The text of several streams, in the order in which it comes; what has come when `signal` ends it. */
async function readAll(streams: readonly ReadableStream<Uint8Array>[], signal: AbortSignal): Promise<string> {
  let text = "";
  await Promise.all(streams.map(async (stream) => {
    const decoder = new TextDecoder();
    const reader = stream.getReader();
    const stop = () => void reader.cancel();
    signal.addEventListener("abort", stop);
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += decoder.decode(part.value, { stream: true });
    }
    signal.removeEventListener("abort", stop);
  }));
  return text;
}
