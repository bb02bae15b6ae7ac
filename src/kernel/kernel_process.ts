/**
 * A kernel of one's own: started on loopback, ended for certain.
 *
 * Invariant: from `start` to the end of `shutdown` there is one child and one connection file; after it, or after a start
 * that failed, neither.
 */

import { KernelError } from "./errors.ts";
import { type ConnectOptions, KernelClient } from "./kernel_client.ts";
import { formatConnection, newConnection } from "./protocol/connection.ts";
import { Tail } from "./tail.ts";

/** The program to start, and its circumstances. */
export interface KernelOptions extends ConnectOptions {
  /** The program and its arguments; the kernel of the running Deno unless given. */
  readonly command?: (connectionFile: string) => readonly [string, ...string[]];
  /** The folder to run in, by which relative imports and `deno.json` are found; the current one unless given. */
  readonly cwd?: string | URL;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether what the kernel shows as text may have colours; false unless given. */
  readonly colors?: boolean;
  /** Told of what the process, or one that it has started, writes to its own streams; waited for before more is read. */
  readonly onWritten?: (name: "stdout" | "stderr", text: string) => Promise<void> | void;
}

/** How it ended. */
export interface KernelEnd {
  /** The exit code; null when a signal ended it. */
  readonly code: number | null;
  /** Whether it had to be killed, since it did not end by itself. */
  readonly wasKilled: boolean;
}

/** Another program may take a port between its choice and its use. */
const ATTEMPTS = 3;
const GRACE_MS = 5000;
const DRAIN_MS = 500;

/** A running kernel and a client of it. */
export class KernelProcess implements AsyncDisposable {
  /** Speaks to it. */
  readonly client: KernelClient;
  readonly #child: RunningChild;
  #end: Promise<KernelEnd> | null = null;

  private constructor(child: RunningChild, client: KernelClient) {
    this.#child = child;
    this.client = client;
  }

  /** Starts a kernel and waits until it answers. Throws a `KernelError` with the last lines it wrote when it does not. */
  static async start(options: KernelOptions = {}): Promise<KernelProcess> {
    for (let attempt = 1;; attempt++) {
      const connection = newConnection("deno");
      const child = await RunningChild.start(formatConnection(connection), options);
      const death = new AbortController();
      child.died.catch((error) => death.abort(error));
      const signal = options.signal ? AbortSignal.any([options.signal, death.signal]) : death.signal;
      try {
        const client = await KernelClient.connect(connection, { ...options, signal });
        child.died.catch((error) => client.close(error));
        return new KernelProcess(child, client);
      } catch (error) {
        await child.kill();
        if (attempt < ATTEMPTS && !options.signal?.aborted) continue;
        throw new KernelError("KernelProcess.start", `${child.command} did not start${child.lastWords()}`, {
          cause: error,
        });
      }
    }
  }

  /** Resolves when it has ended, whether by itself or not, to what it wrote last. */
  get ended(): Promise<string> {
    return this.#child.died.catch(() => this.#child.lastWords());
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.#child.signal("SIGKILL");
    await this.shutdown(0);
  }

  /** The number of the child. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The file that tells it where to listen; gone when it has ended. */
  get connectionFile(): string {
    return this.#child.file;
  }

  /**
   * Stops what runs. By "signal" an awaited loop stops whose code listens for SIGINT, and a kernel without such a listener
   * ends; by "message" a synchronous loop stops, and an awaited one may hang.
   */
  async interrupt(by: "signal" | "message"): Promise<void> {
    if (by === "signal") this.#child.signal("SIGINT");
    else await this.client.request("interrupt_request", {}, "control");
  }

  /** Asks the kernel to end, and kills it when it has not done so after `graceMs` (5 s unless given). */
  shutdown(graceMs = GRACE_MS): Promise<KernelEnd> {
    this.#end ??= this.#shutDown(graceMs);
    return this.#end;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  async #shutDown(graceMs: number): Promise<KernelEnd> {
    // A kernel that is dead, or deaf, does not answer; the time it has is the same.
    this.client.request("shutdown_request", { restart: false }, "control").catch(() => {});
    const endedByItself = await this.#child.endsWithin(graceMs);
    const { code, signal } = await this.#child.kill();
    await this.client[Symbol.asyncDispose]();
    return { code: signal === null ? code : null, wasKilled: !endedByItself };
  }
}

/** A child with its connection file. */
class RunningChild {
  readonly command: string;
  /** Rejects when the child ends. */
  readonly died: Promise<never>;
  readonly #process: Deno.ChildProcess;
  readonly file: string;
  readonly #words = new Tail(4096);
  readonly #drained: Promise<unknown>;
  readonly #draining = new AbortController();
  readonly #kill = () => this.signal("SIGKILL");

  private constructor(
    command: readonly string[],
    file: string,
    process: Deno.ChildProcess,
    { onWritten }: KernelOptions,
  ) {
    this.command = command[0];
    this.file = file;
    this.#process = process;
    const { signal } = this.#draining;
    this.#drained = Promise.allSettled([
      process.stdout.pipeTo(this.#words.writable((text) => onWritten?.("stdout", text)), { signal }),
      process.stderr.pipeTo(this.#words.writable((text) => onWritten?.("stderr", text)), { signal }),
    ]);
    this.died = process.status.then(({ code }) => {
      throw new KernelError("KernelProcess", `the kernel ended with code ${code}${this.lastWords()}`);
    });
    this.died.catch(() => {});
    // This also runs when the surrounding program ends early.
    addEventListener("unload", this.#kill);
  }

  static async start(connection: string, options: KernelOptions): Promise<RunningChild> {
    const file = await Deno.makeTempFile({ prefix: "kernel-", suffix: ".json" });
    try {
      await Deno.writeTextFile(file, connection);
      const command = options.command?.(file) ?? [Deno.execPath(), "jupyter", "--kernel", "--conn", file];
      const process = new Deno.Command(command[0], {
        args: command.slice(1),
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: { ...(options.colors ? {} : { NO_COLOR: "1" }), ...options.env },
      }).spawn();
      return new RunningChild(command, file, process, options);
    } catch (error) {
      await Deno.remove(file);
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  signal(signal: Deno.Signal): void {
    try {
      this.#process.kill(signal);
    } catch {
      // It has ended.
    }
  }

  /** The last words that it wrote, to be put behind a sentence. */
  lastWords(): string {
    const text = this.#words.text().trim();
    return text === "" ? "" : `; it said: ${text}`;
  }

  async endsWithin(milliseconds: number): Promise<boolean> {
    const { promise: late, resolve } = Promise.withResolvers<false>();
    const timer = setTimeout(() => resolve(false), milliseconds);
    try {
      return await Promise.race([this.#process.status.then(() => true), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends it if it runs, and removes its file. */
  async kill(): Promise<Deno.CommandStatus> {
    removeEventListener("unload", this.#kill);
    this.signal("SIGKILL");
    const status = await this.#process.status;
    // A program that a cell started may hold the pipes open.
    const timer = setTimeout(() => this.#draining.abort(), DRAIN_MS);
    await this.#drained;
    clearTimeout(timer);
    await Deno.remove(this.file).catch(() => {});
    return status;
  }
}
