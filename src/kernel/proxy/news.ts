/**
 * The messages that the kernel sends to all front ends.
 */

import type { Publisher } from "../front/publisher.ts";
import { createMessage, type JsonObject, type Message, type MessageParts } from "../protocol/message.ts";

/** Publishes messages that follow from a request. */
export class News {
  readonly #publisher: Publisher;
  readonly #session: string;

  constructor(publisher: Publisher, session: string) {
    this.#publisher = publisher;
    this.#session = session;
  }

  /** Publishes a message; those of one caller arrive in the order of the calls. */
  tell(type: string, content: JsonObject, parent: Message | null, parts: MessageParts = {}): Promise<void> {
    return this.#publisher.publish(createMessage(this.#session, type, content, { ...parts, parent }));
  }

  /** Says whether something is worked on. */
  status(state: "starting" | "busy" | "idle", parent: Message | null): Promise<void> {
    return this.tell("status", { execution_state: state }, parent);
  }
}
