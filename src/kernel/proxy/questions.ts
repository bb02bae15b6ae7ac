/**
 * Questions of cells to the person at the front end, `prompt()` and `confirm()`.
 *
 * Invariant: a question is answered by the front end that runs the cell, or throws when it is given up.
 */

import type { RouterSocket } from "../front/router_socket.ts";
import { createMessage, type Message } from "../protocol/message.ts";
import type { QueuedCell } from "./cell_queue.ts";

/** Asks, one question at a time: the kernel waits for the answer. */
export class Questions {
  readonly #socket: RouterSocket;
  readonly #session: string;
  readonly #stoppedAnswer: string;
  readonly #presses: () => number;
  #answer: ((text: string) => void) | null = null;

  /**
   * `stoppedAnswer` begins the answer to a question that was stopped; behind it stands how often the button has been pressed,
   * which `presses` tells, so that the kernel hears of each press once.
   */
  constructor(socket: RouterSocket, session: string, stoppedAnswer: string, presses: () => number) {
    this.#socket = socket;
    this.#session = session;
    this.#stoppedAnswer = stoppedAnswer;
    this.#presses = presses;
  }

  /** The answer to a question. */
  async ask(cell: QueuedCell, prompt: string, isPassword: boolean): Promise<string> {
    const { request, asker } = cell;
    // The button was pressed before, and the code has not heard of it yet.
    if (cell.isDeaf) return this.#stopped();
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#answer = resolve;
    const question = createMessage(this.#session, "input_request", { prompt, password: isPassword }, {
      parent: request,
    });
    for (const other of this.#socket.askersOf(asker.identity)) other.send(question);
    return await promise;
  }

  /** Takes an answer. */
  takeReply({ header, content }: Message): void {
    if (header.msg_type !== "input_reply") return;
    this.#answer?.(typeof content.value === "string" ? content.value : "");
    this.#answer = null;
  }

  /** Nobody will answer: the cell was stopped, and the question throws. */
  giveUp(): void {
    this.#answer?.(this.#stopped());
    this.#answer = null;
  }

  #stopped(): string {
    return `${this.#stoppedAnswer}${this.#presses()}`;
  }
}
