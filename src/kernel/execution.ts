/**
 * A request while the kernel works on it: the messages that follow from it, its reply, and the idle after
 * it.
 */

import type { JsonObject, Message } from "./protocol/message.ts";

/** The types of the messages that are outputs. */
const OUTPUT_TYPES: ReadonlySet<string> = new Set([
  "stream",
  "display_data",
  "update_display_data",
  "execute_result",
  "error",
  "clear_output",
]);

/** The type of a message that nobody shows: all that was sent before it has arrived when it has. */
export const FENCE = "attune_fence";

/** How to execute. */
export interface ExecuteOptions {
  /** Told of each output as it comes. */
  readonly onOutput?: (output: Message) => void;
  /** Answers a question of the code, `prompt()` say; without it the code is told that nobody answers. */
  readonly onInput?: (prompt: string, isPassword: boolean) => string | Promise<string>;
  /** Whether it goes without a number and without an entry in the history; false unless given. */
  readonly silent?: boolean;
  /**
   * How long the kernel has to have been quiet in the end before the outputs count as complete, in milliseconds; 20 unless
   * given. The stock kernel sends its idle through another door than its outputs, which may come after it.
   */
  readonly settleMs?: number;
}

/** An execution that is over. */
export interface Execution {
  /** "ok", "error", or "aborted". */
  readonly status: string;
  /** The number of the cell; null where the kernel did not say. */
  readonly executionCount: number | null;
  /** The outputs, in the order in which they came. */
  readonly outputs: readonly Message[];
  /** How many outputs came after the idle. */
  readonly late: number;
  /** The content of the reply. */
  readonly reply: JsonObject;
}

/** A request that the kernel has not done with. */
export class OpenRequest {
  readonly reply: PromiseWithResolvers<Message> = Promise.withResolvers<Message>();
  readonly idle: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  /** Whether a fence of it has come. */
  readonly fence: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly outputs: Message[] = [];
  /** When the last message of it came. */
  lastAt = 0;
  late = 0;
  #isIdle = false;
  readonly #options: ExecuteOptions;

  constructor(options: ExecuteOptions = {}) {
    this.#options = options;
    // A caller may wait for only one of them, so rejections of the others are ignored.
    this.reply.promise.catch(() => {});
    this.idle.promise.catch(() => {});
    this.fence.promise.catch(() => {});
  }

  /** Takes a message of the channel iopub that follows from it. */
  take(message: Message): void {
    this.lastAt = performance.now();
    const { msg_type: type } = message.header;
    if (type === "status" && message.content.execution_state === "idle") {
      this.#isIdle = true;
      this.idle.resolve();
    }
    if (type === FENCE) this.fence.resolve();
    if (!OUTPUT_TYPES.has(type)) return;
    if (this.#isIdle) this.late++;
    this.outputs.push(message);
    this.#options.onOutput?.(message);
  }

  /** The answer to a question; null when nobody answers. */
  async answer(question: Message): Promise<string | null> {
    const { prompt, password } = question.content;
    return await this.#options.onInput?.(String(prompt ?? ""), password === true) ?? null;
  }

  /** Ends the waiting for it. */
  fail(error: unknown): void {
    this.reply.reject(error);
    this.idle.reject(error);
    this.fence.reject(error);
  }

  /** Resolves to its result once it has been replied to. */
  async result(): Promise<Execution> {
    const { content } = await this.reply.promise;
    const { status, execution_count: count } = content;
    return {
      status: String(status),
      executionCount: typeof count === "number" ? count : null,
      outputs: this.outputs,
      late: this.late,
      reply: content,
    };
  }
}
