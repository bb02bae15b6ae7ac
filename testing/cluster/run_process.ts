// Runs a program of `testing/cluster/` in a process of its own, and gives its lines.

/** A running program. */
export interface Running extends AsyncDisposable {
  /** The next line; null when it has ended. */
  next(): Promise<string | null>;
  /** Takes the next line; throws where it is another one, with what the program complained of. */
  expect(line: string): Promise<void>;
  /** Sends a signal: SIGSTOP freezes it, SIGCONT lets it go on. */
  signal(signal: Deno.Signal): void;
  /** Ends it with SIGKILL; gives the lines that it had written and nobody took. */
  kill(): Promise<string[]>;
}

/**
 * Starts `program`, the name of a file in this folder; `command` is the beginning of a command line that runs a
 * program elsewhere.
 */
export function runProcess(
  program: string,
  args: readonly string[],
  command: readonly string[] = [],
): Running {
  const path = new URL(program, import.meta.url).pathname;
  const [first, ...others] = [
    ...command,
    Deno.execPath(),
    "run",
    "--allow-all",
    "--no-check",
    "--quiet",
    path,
  ];
  const child = new Deno.Command(first, {
    args: [...others, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const lines = linesOf(child.stdout);
  let complaints = "";
  const complaining = (async () => {
    for await (const line of linesOf(child.stderr)) {
      console.error(line);
      complaints = `${complaints}${line}\n`.slice(-2000);
    }
  })();
  const next = async () => {
    const { done, value } = await lines.next();
    return done ? null : value;
  };
  const expect = async (expected: string) => {
    const found = await next();
    if (found === expected) return;
    if (found !== null) throw new Error(`${program} wrote ${JSON.stringify(found)}, expected "${expected}"`);
    // It loads its modules when it starts, so whoever edits them during a test ends it, too.
    const { code } = await child.status;
    await complaining;
    throw new Error(`${program} ended with ${code}, expected "${expected}"\n${complaints}`);
  };
  const kill = async () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    const left: string[] = [];
    for (let line = await next(); line !== null; line = await next()) left.push(line);
    await child.status;
    await complaining;
    return left;
  };
  const signal = (signal: Deno.Signal) => child.kill(signal);
  return { next, expect, kill, signal, [Symbol.asyncDispose]: async () => void await kill() };
}

/** Whole lines; one that the process had not ended is none. */
async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
