/**
 * The socket on which a kernel tells everybody what happens: a PUB.
 *
 * Invariant: everybody who has subscribed hears everything of the topics asked for, in order; who does not listen while
 * more and more waits for them is cut off.
 */

import type { MessageCodec } from "../protocol/codec.ts";
import type { Message } from "../protocol/message.ts";
import type { Peer } from "../zmtp/peer.ts";
import { Acceptor } from "./acceptor.ts";

/** The most that may wait for a listener, in bytes. */
const BACKLOG_LIMIT = 2 ** 30;
/** Topics that one listener may ask for. */
const TOPICS = 64;

interface Listener {
  readonly topics: Uint8Array[];
  backlog: number;
}

/** Publishes until it is closed. */
export class Publisher implements Disposable {
  readonly #acceptor: Acceptor;
  readonly #codec: MessageCodec;
  readonly #listeners = new Map<Peer, Listener>();

  constructor(ip: string, port: number, codec: MessageCodec) {
    this.#codec = codec;
    this.#acceptor = new Acceptor(ip, port, "PUB", (peer) => this.#serve(peer));
  }

  /** Connections that were dropped. */
  get rejected(): number {
    return this.#acceptor.rejected;
  }

  /** Sends a message to all who listen; resolves once it was handed to the system. */
  async publish(message: Message): Promise<void> {
    const topic = new TextEncoder().encode(message.header.msg_type);
    const frames = this.#codec.encode({ ...message, identities: [topic] });
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    await Promise.all([...this.#listeners].map(async ([peer, listener]) => {
      if (!listener.topics.some((prefix) => startsWith(topic, prefix))) return;
      if (listener.backlog > BACKLOG_LIMIT) return peer.close();
      listener.backlog += bytes;
      // A listener that has gone does not hear it.
      await peer.send(frames).catch(() => {});
      listener.backlog -= bytes;
    }));
  }

  /** Ends all connections. */
  [Symbol.dispose](): void {
    this.#acceptor[Symbol.dispose]();
  }

  /** Takes subscriptions: a byte, 1 to begin and 0 to end, and a topic. */
  async #serve(peer: Peer): Promise<void> {
    const listener: Listener = { topics: [], backlog: 0 };
    this.#listeners.set(peer, listener);
    try {
      for await (const [frame] of peer.messages()) {
        const topic = frame.subarray(1);
        if (frame[0] === 1 && listener.topics.push(topic) > TOPICS) return;
        if (frame[0] === 0) {
          const at = listener.topics.findIndex((other) =>
            other.length === topic.length && startsWith(topic, other)
          );
          if (at !== -1) listener.topics.splice(at, 1);
        }
      }
    } finally {
      this.#listeners.delete(peer);
    }
  }
}

function startsWith(topic: Uint8Array, prefix: Uint8Array): boolean {
  return prefix.every((byte, at) => byte === topic[at]);
}
