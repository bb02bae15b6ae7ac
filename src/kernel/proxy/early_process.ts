/**
 * Starts the stock kernel before the modules that speak to it are loaded, which takes a tenth of a second on another core.
 *
 * Invariant: no message is lost between the start and the moment somebody listens; whoever starts one adopts or ends it.
 */

import { KERNEL_MARK } from "../descendants.ts";
import { type KernelOptions, KernelProcess } from "../kernel_process.ts";
import type { Message } from "../protocol/message.ts";

/** A kernel that is starting. */
export class EarlyProcess {
  /** The mark in its environment, and in that of all that it starts. */
  readonly mark: string;
  readonly #started: Promise<KernelProcess>;
  readonly #early: Message[] = [];
  #take: ((message: Message) => void) | null = null;
  #takeWritten: KernelOptions["onWritten"];

  /** Starts it. */
  constructor(
    options: Pick<KernelOptions, "command" | "cwd"> = {},
    mark: string = crypto.randomUUID(),
  ) {
    this.mark = mark;
    this.#started = KernelProcess.start({
      ...options,
      colors: true,
      env: { [KERNEL_MARK]: mark },
      onWritten: (name, text) => this.#takeWritten?.(name, text),
      onMessage: (message) => this.#take ? this.#take(message) : void this.#early.push(message),
    });
    // Whoever adopts the process gets its failure.
    this.#started.catch(() => {});
  }

  /**
   * Resolves when it has started; messages are handed to `take` from then on, those that have come first, and what it writes
   * to its own streams to `takeWritten`. Once.
   */
  async adopt(
    take: (message: Message) => void,
    takeWritten: NonNullable<KernelOptions["onWritten"]>,
  ): Promise<KernelProcess> {
    this.#takeWritten = takeWritten;
    const process = await this.#started;
    for (const message of this.#early.splice(0)) take(message);
    this.#take = take;
    return process;
  }

  /** Ends it where nobody has adopted it. */
  async giveUp(): Promise<void> {
    const process = await this.#started.catch(() => null);
    if (this.#take === null) await process?.kill();
  }
}
