/**
 * The stock kernel that evaluates, with our part inside of it.
 *
 * Invariant: outputs are handed on in the order in which they were made, each with the cell it belongs to, and `settle`
 * resolves after all that were made before it.
 */

import { KernelError } from "../errors.ts";
import type { ExecuteOptions } from "../execution.ts";
import type { KernelProcess } from "../kernel_process.ts";
import type { PreludeSettings } from "../prelude/bridge.ts";
import type { Origin } from "../prelude/outputs.ts";
import type { JsonObject, Message } from "../protocol/message.ts";
import { endProcesses } from "../descendants.ts";
import { FlowCount } from "../link/flow.ts";
import { EarlyProcess } from "./early_process.ts";
import { LinkServer } from "./link_server.ts";
import { ThreadWords } from "./threads.ts";
import { Written } from "./written.ts";

/** The kernel to start. */
export interface ChildOptions extends Pick<PreludeSettings, "packages" | "permissions" | "frontEnd"> {
  /** The program and its arguments; the kernel of the running Deno unless given. */
  readonly command?: (connectionFile: string) => readonly [string, ...string[]];
  readonly cwd?: string | URL;
  /** The mark in its environment, and in that of all that it starts. */
  readonly mark: string;
  /** One that has been started already, by the same mark; else one is started. */
  readonly early?: EarlyProcess;
  /** Takes what the kernel shows, and what it belongs to; null where nobody knows. */
  readonly onOutput: (output: KernelOutput, origin: Origin | null) => Promise<void> | void;
  /** Told of what a cell throws, as the content of an error message. */
  readonly onFailure: (content: JsonObject, origin: Origin | null) => void;
  /** Told whether mistakes in types are to be told. */
  readonly onCheckTypes: (isOn: boolean) => void;
  /** Told of what the process, its workers and what they have started write to its own streams. */
  readonly onWritten: (name: "stdout" | "stderr", text: string) => Promise<void>;
  /** Told that a message to a comm has been handled. */
  readonly onHandled: (id: number) => void;
}

/** Something to be published. */
export interface KernelOutput extends Pick<Message, "content" | "metadata" | "buffers"> {
  readonly type: string;
}

const PRELUDE = new URL("../prelude/mod.ts", import.meta.url).href;
/** How long a turn of the event loop may take before the kernel counts as busy. */
const BUSY_MS = 1000;
/** How long the stock kernel may take to say that it has terminated something. */
const ANSWER_MS = 1000;
/** Outputs are waited for as long as some come; after so long without any the kernel is too busy to say that they are all. */
const FLUSH_MS = 2000;
/** The end of a cell comes by another way than its reply, at most this much later where it comes at all. */
const HANDOVER_MS = 50;
/** A kernel that computes on is terminated so often, and one that does not begin for so long goes on without our part. */
const REVIVALS = 4, BEGIN_MS = 10_000;
/** A front end may take this long to read what it was sent last. */
const STALLED_MS = 2000;
/** In which Linux counts the time of threads. */
const TICK_MS = 10;

/** A running child. */
export class ChildKernel {
  /** Words to the part inside of it. */
  readonly link: LinkServer;
  /** What it writes to its own streams. */
  readonly written: Written;
  readonly #settings: Omit<PreludeSettings, "tokens" | "watchToken" | "connectionFile">;
  readonly #options: ChildOptions;
  readonly #threads: ThreadWords;
  readonly #flushes = new Map<number, () => void>();
  #done: { readonly id: number; readonly resolve: () => void } | null = null;
  #doneId = -1;
  #heardAt = 0;
  readonly #flow = new FlowCount();
  #handedOn: Promise<void> = Promise.resolve();
  #exitCode: number | null = null;
  #process!: KernelProcess;
  #lastFlush = 0;
  #isBeginning = true;
  #hasBegun = false;

  private constructor(options: ChildOptions) {
    this.#options = options;
    this.link = new LinkServer();
    this.written = new Written(options.onWritten);
    this.#threads = new ThreadWords((name, text, origin) => {
      const stream = { type: "stream", content: { name, text }, metadata: {}, buffers: [] };
      options.onOutput(stream, toOrigin(origin));
    });
    this.link.onSaid = (head) => {
      this.#heardAt = performance.now();
      this.#threads.take(head);
    };
    this.#settings = {
      port: this.link.port,
      mark: options.mark,
      threads: `attune-${crypto.randomUUID()}`,
      marker: `attune-${crypto.randomUUID()}`,
      stoppedAnswer: `attune-stopped-${crypto.randomUUID()}`,
      packages: options.packages,
      permissions: options.permissions,
      frontEnd: options.frontEnd,
    };
  }

  /** Starts it, and waits until cells can run. Throws a `KernelError` with its last words when it does not start. */
  static async start(options: ChildOptions): Promise<ChildKernel> {
    const child = new ChildKernel(options);
    const { command, cwd } = options;
    const early = options.early ?? new EarlyProcess(
      { ...(command ? { command } : {}), ...(cwd === undefined ? {} : { cwd }) },
      options.mark,
    );
    try {
      child.#process = await early.adopt(
        (message) => child.#take(message),
        async (name, text) => {
          if (child.#hasBegun) await child.written.take(name, text);
        },
      );
      await child.#begin();
      return child;
    } catch (error) {
      await child.kill();
      throw error;
    }
  }

  /** The number of its process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Its own description. */
  get info(): JsonObject {
    return this.#process.client.info;
  }

  /** Resolves when it has ended, to why, as far as is known. */
  get ended(): Promise<string> {
    return this.#process.ended.then((words) => this.exitWords ?? `the kernel behind has ended${words}`);
  }

  /** Says that a cell has ended it; null where none has. */
  get exitWords(): string | null {
    return this.#exitCode === null
      ? null
      : `Deno.exit(${this.#exitCode}) has ended the kernel; its state is lost`;
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

  /** The answer to a question that was stopped. */
  get stoppedAnswer(): string {
    return this.#settings.stoppedAnswer;
  }

  /** Resolves when all has come that a cell has shown which ended well; false when the kernel does not say so. */
  async settle(cell: number, count: number): Promise<boolean> {
    if (this.#doneId !== cell) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#done = { id: cell, resolve };
      // A notebook that declares a `Deno` of its own hides the way by which the stock kernel hands over the end of a cell.
      if (!await this.#whileHeard(promise, HANDOVER_MS)) {
        this.link.tell({ type: "finish", id: cell, count });
        await this.#whileHeard(promise, FLUSH_MS / 4);
      }
      this.#done = null;
    }
    return this.#doneId === cell || await this.flush();
  }

  /** Whether it has said that a cell is over, its value shown and its tests run. */
  isDone(cell: number): boolean {
    return this.#doneId === cell;
  }

  /** Resolves when all has come that was shown so far; false when the kernel is too busy to say so. */
  async flush(): Promise<boolean> {
    const id = ++this.#lastFlush;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#flushes.set(id, resolve);
    this.link.tell({ type: "flush", id });
    const isFlushed = await this.#whileHeard(promise, FLUSH_MS);
    this.#flushes.delete(id);
    return isFlushed;
  }

  /** Whether a promise resolves before nothing has come for so long. */
  async #whileHeard(promise: Promise<void>, milliseconds: number): Promise<boolean> {
    const startedAt = performance.now();
    let isOver = false;
    const over = promise.then(() => isOver = true);
    for (;;) {
      const left = Math.max(startedAt, this.#heardAt) + milliseconds - performance.now();
      if (isOver || left <= 0) return isOver;
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, left);
      await Promise.race([over, late]);
      clearTimeout(timer);
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

  /** The memory that it holds, in megabytes; null where the system does not tell. */
  async memoryMb(): Promise<number | null> {
    if (Deno.build.os !== "linux") return null;
    try {
      const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(await Deno.readTextFile(`/proc/${this.pid}/status`)) ??
        [];
      return Number(kilobytes ?? 0) / 1024;
    } catch {
      return null;
    }
  }

  /**
   * Stops what computes, if something does; where nothing does it would be the end of the kernel. Resolves to whether the
   * kernel says that it has done so: it does not where the next thing that computes has begun by then.
   */
  async terminate(): Promise<boolean> {
    const { promise: late, resolve } = Promise.withResolvers<false>();
    const timer = setTimeout(() => resolve(false), ANSWER_MS);
    this.link.doubt();
    try {
      return await Promise.race([this.#process.interrupt("message").then(() => true, () => false), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Tells listeners of the signal. */
  async signal(): Promise<void> {
    // Windows has no signals: this would end the kernel.
    if (Deno.build.os !== "windows") await this.#process.interrupt("signal");
  }

  /** Whether its event loop turns. */
  async isAlive(): Promise<boolean> {
    return await this.link.ask({ type: "names", expression: "undefined" }, BUSY_MS) !== null;
  }

  /**
   * Connects anew when a line was lost. Only while no cell runs. After a stop what computes all the same, a timer of
   * the cell that was stopped, is terminated first: nothing else would run any more.
   */
  async revive(isStopped: boolean): Promise<boolean> {
    for (let attempt = 0; attempt < REVIVALS; attempt++) {
      if (await this.isAlive()) {
        if (!this.link.isShort) return true;
        break;
      }
      if (!isStopped || !await this.#isComputing()) break;
      await this.terminate();
    }
    await Promise.race([this.#begin().catch(() => {}), pause(BEGIN_MS)]);
    return await this.isAlive();
  }

  async #isComputing(): Promise<boolean> {
    const before = await this.computedMs();
    await pause(BUSY_MS / 4);
    const after = await this.computedMs();
    return before !== null && after !== null && after - before > TICK_MS;
  }

  /** Asks it to end, and kills it when it does not. */
  async shutdown(graceMs: number): Promise<void> {
    await this.#process.shutdown(graceMs);
    await this.#clearAway();
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    await this.#process?.kill();
    await this.#clearAway();
  }

  /** Ends the processes that cells have started. */
  async #clearAway(): Promise<void> {
    this.link[Symbol.dispose]();
    await endProcesses(this.#settings.mark);
  }

  async #begin(): Promise<void> {
    const folder = await Deno.makeTempDir({ prefix: "attune-" });
    try {
      const file = `${folder}/settings.json`, { lines: tokens, watch: watchToken } = this.link.renew();
      const { connectionFile } = this.#process;
      // All who listen to a kernel hear the code that it executes; secrets travel in a file for this user alone.
      await Deno.writeTextFile(
        file,
        JSON.stringify({ ...this.#settings, tokens, watchToken, connectionFile }),
        {
          mode: 0o600,
        },
      );
      await this.#beginWith(file);
    } finally {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    }
  }

  async #beginWith(file: string): Promise<void> {
    // The name of the module is given as a text, so that no lock file or bundler takes it for a dependency.
    const code = `await (await import(${JSON.stringify(PRELUDE)})).begin(${JSON.stringify(file)})`;
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

  /** Tells the kernel of text that front ends have taken; of what they do not take for long, too, but slowly. */
  #handOn(letters: number, told: Promise<void> | void): void {
    const units = this.#flow.add(letters);
    if (units === 0) return;
    this.#handedOn = this.#handedOn.then(() => Promise.race([told, pause(STALLED_MS)]))
      .then(() => this.link.handedOn(units));
  }

  #take(message: Message): void {
    const { content, metadata, buffers, header: { msg_type: type } } = message;
    this.#heardAt = performance.now();
    if (type !== this.#settings.marker) {
      // The messages that follow from our own code are not published.
      const isOurs = !this.#hasBegun || this.#isBeginning && type === "execute_input";
      if (!isOurs) this.#options.onOutput({ type, content, metadata, buffers }, null);
      return;
    }
    const id = Number(content.id), origin = toOrigin(content.origin);
    switch (content.kind) {
      case "output": {
        const output = {
          type: String(content.type),
          content: content.content as JsonObject,
          metadata,
          buffers,
        };
        const told = this.#options.onOutput(output, origin);
        return output.type === "stream" ? this.#handOn(String(output.content.text).length, told) : undefined;
      }
      case "failed":
        return this.#options.onFailure(content.content as JsonObject, origin);
      case "done":
        return this.#threads.behind(content.fence, () => {
          this.#doneId = id;
          if (this.#done?.id === id) this.#done.resolve();
        });
      case "flushed":
        return this.#threads.behind(content.fence, () => this.#flushes.get(id)?.());
      case "handled":
        return this.#options.onHandled(id);
      case "checkTypes":
        return this.#options.onCheckTypes(content.isOn === true);
      case "exit":
        this.#exitCode = Number(content.code);
        // The kernel waits to be ended: all of its output has arrived.
        this.#process.kill();
    }
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The cell or comm that an output belongs to, as the prelude has said it. */
function toOrigin(said: unknown): Origin | null {
  if (typeof said !== "object" || said === null) return null;
  const { kind, id } = said as JsonObject;
  return { kind: kind === "comm" ? "comm" : "cell", id: Number(id) };
}
