/**
 * The stock kernel that evaluates, with our part inside of it.
 *
 * Invariant: outputs are handed on in the order in which they were made, and `flush` resolves after all that were made
 * before it.
 */

import { KernelError } from "../errors.ts";
import type { ExecuteOptions } from "../execution.ts";
import { KernelProcess } from "../kernel_process.ts";
import type { PreludeSettings } from "../prelude/bridge.ts";
import type { JsonObject, Message } from "../protocol/message.ts";
import { LinkServer } from "./link_server.ts";

/** What to start. */
export interface ChildOptions extends Pick<PreludeSettings, "packages" | "permissions" | "frontEnd"> {
  /** The program and its arguments; the kernel of the running Deno unless given. */
  readonly command?: (connectionFile: string) => readonly [string, ...string[]];
  readonly cwd?: string | URL;
  /** Takes what the kernel shows. */
  readonly onOutput: (message: Message) => void;
  /** Told that a message to a comm has been handled. */
  readonly onHandled: (id: number) => void;
}

const PRELUDE = new URL("../prelude/mod.ts", import.meta.url).href;
/** How long a turn of the event loop may take before the kernel counts as busy. */
const BUSY_MS = 1000;
const FLUSH_MS = 2000;
/** In which Linux counts the time of threads. */
const TICK_MS = 10;

/** A running child. */
export class ChildKernel {
  /** Words to the part inside of it. */
  readonly link: LinkServer;
  readonly #settings: PreludeSettings;
  readonly #options: ChildOptions;
  readonly #flushes = new Map<number, () => void>();
  #process!: KernelProcess;
  #lastFlush = 0;
  #isBeginning = true;
  #hasBegun = false;

  private constructor(options: ChildOptions) {
    this.#options = options;
    this.link = new LinkServer();
    this.#settings = {
      port: this.link.port,
      token: this.link.token,
      marker: `attune-${crypto.randomUUID()}`,
      packages: options.packages,
      permissions: options.permissions,
      frontEnd: options.frontEnd,
    };
  }

  /** Starts it, and waits until cells can run. Throws a `KernelError` with its last words when it does not start. */
  static async start(options: ChildOptions): Promise<ChildKernel> {
    const child = new ChildKernel(options);
    const { command, cwd } = options;
    try {
      child.#process = await KernelProcess.start({
        ...(command ? { command } : {}),
        ...(cwd === undefined ? {} : { cwd }),
        colors: true,
        onMessage: (message) => child.#take(message),
      });
      await child.#begin();
      return child;
    } catch (error) {
      child.link[Symbol.dispose]();
      await child.#process?.kill();
      throw error;
    }
  }

  /** The number of its process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** What it says of itself. */
  get info(): JsonObject {
    return this.#process.client.info;
  }

  /** Resolves when it has ended, to what it wrote last. */
  get ended(): Promise<string> {
    return this.#process.ended;
  }

  /** Runs code; resolves with its reply. What it shows may come later, see `flush`. */
  execute(content: JsonObject, onInput?: ExecuteOptions["onInput"]): Promise<Message> {
    return this.#process.client.request(
      "execute_request",
      { ...content, allow_stdin: onInput !== undefined },
      "shell",
      {},
      onInput ? { onInput } : {},
    );
  }

  /** Resolves when all has come that was shown so far; false when the kernel is too busy to say so. */
  async flush(): Promise<boolean> {
    const id = ++this.#lastFlush;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#flushes.set(id, () => resolve(true));
    const timer = setTimeout(() => resolve(false), FLUSH_MS);
    this.link.tell({ type: "flush", id });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#flushes.delete(id);
    }
  }

  /** How long its thread has computed; null where the system does not tell. */
  async computedMs(): Promise<number | null> {
    const { thread } = this.link;
    if (Deno.build.os !== "linux" || thread === null) return null;
    try {
      const line = await Deno.readTextFile(`/proc/${this.pid}/task/${thread}/stat`);
      // The name, in brackets, may contain anything; user and system time are the 12th and 13th word behind it.
      const words = line.slice(line.lastIndexOf(")") + 2).split(" ");
      return TICK_MS * (Number(words[11]) + Number(words[12]));
    } catch {
      return null;
    }
  }

  /** Stops what computes, if something does; where nothing does it would be the end of the kernel. */
  async terminate(): Promise<void> {
    await this.#process.interrupt("message").catch(() => {});
  }

  /** Tells listeners of the signal. */
  async signal(): Promise<void> {
    // Windows has no signals: it would be the end.
    if (Deno.build.os !== "windows") await this.#process.interrupt("signal");
  }

  /** Whether its event loop turns. */
  async isAlive(): Promise<boolean> {
    return await this.link.ask({ type: "names", expression: "undefined" }, BUSY_MS) !== null;
  }

  /** Connects anew when the line was lost. Only while no cell runs. */
  async revive(): Promise<boolean> {
    if (await this.isAlive()) return true;
    await this.#begin().catch(() => {});
    return await this.isAlive();
  }

  /** Asks it to end, and kills it when it does not. */
  async shutdown(graceMs: number): Promise<void> {
    await this.#process.shutdown(graceMs);
    this.link[Symbol.dispose]();
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    await this.#process.kill();
    this.link[Symbol.dispose]();
  }

  async #begin(): Promise<void> {
    // The name of the module is given as a text, so that no lock file or bundler takes it for a dependency.
    const code = `await (await import(${JSON.stringify(PRELUDE)})).begin(${JSON.stringify(this.#settings)})`;
    const request = { code, silent: true, store_history: false, stop_on_error: false, user_expressions: {} };
    this.#isBeginning = true;
    const { content } = await this.execute(request);
    this.#isBeginning = false;
    this.#hasBegun = true;
    if (content.status !== "ok") {
      throw new KernelError(
        "ChildKernel.start",
        `our part did not begin: ${content.ename}: ${content.evalue}`,
      );
    }
  }

  #take(message: Message): void {
    const { msg_type: type } = message.header;
    if (type !== this.#settings.marker) {
      // What our own code leads to is nobody's business.
      const isOurs = !this.#hasBegun || this.#isBeginning && type === "execute_input";
      return isOurs ? undefined : this.#options.onOutput(message);
    }
    const { kind, id } = message.content;
    if (kind === "flushed") this.#flushes.get(Number(id))?.();
    if (kind === "handled") this.#options.onHandled(Number(id));
  }
}
