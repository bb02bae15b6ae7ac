/**
 * A socket of a kernel on which front ends ask: a ROUTER that knows who is at the other end of each connection.
 *
 * Invariant: only messages that are signed by the key are passed on, each once, and none that the kernel itself has signed;
 * all others are dropped and counted. A connection that
 * does not speak the protocol is closed, and harms no other.
 */

import { ProtocolError } from "../errors.ts";
import type { MessageCodec } from "../protocol/codec.ts";
import type { Message } from "../protocol/message.ts";
import type { Peer } from "../zmtp/peer.ts";
import type { SocketType } from "../zmtp/handshake.ts";
import { Acceptor } from "./acceptor.ts";

/** The front end that asked. */
export interface Asker {
  /** The identity of all its sockets; empty where it has none. */
  readonly identity: string;
  /** Sends it a message; resolves also when it has gone meanwhile. */
  send(message: Message): Promise<void>;
}

/** Takes what comes, message by message, in order for each asker. */
export type TakeMessage = (message: Message, asker: Asker) => void;

const TYPE: SocketType = "ROUTER";

/** Listens until it is closed. */
export class RouterSocket implements Disposable {
  readonly #acceptor: Acceptor;
  readonly #codec: MessageCodec;
  readonly #take: TakeMessage;
  readonly #askers = new Map<Peer, Asker>();
  #rejected = 0;

  constructor(ip: string, port: number, codec: MessageCodec, take: TakeMessage) {
    this.#codec = codec;
    this.#take = take;
    this.#acceptor = new Acceptor(ip, port, TYPE, (peer, trust) => this.#serve(peer, trust));
  }

  /** Messages and connections that were dropped. */
  get rejected(): number {
    return this.#rejected + this.#acceptor.rejected;
  }

  /** Those who are connected and have this identity; all when nobody has it. */
  askersOf(identity: string): Asker[] {
    const all = [...this.#askers.values()];
    const same = all.filter((asker) => identity !== "" && asker.identity === identity);
    return same.length > 0 ? same : all;
  }

  /** Ends all connections. */
  [Symbol.dispose](): void {
    this.#acceptor[Symbol.dispose]();
  }

  async #serve(peer: Peer, trust: () => void): Promise<void> {
    const asker: Asker = {
      identity: peer.introduction.identity.toHex(),
      send: (message) => peer.send(this.#codec.encode(message)).catch(() => {}),
    };
    this.#askers.set(peer, asker);
    try {
      for await (const frames of peer.messages()) {
        const message = this.#decode(frames);
        if (!message) continue;
        trust();
        this.#take(message, asker);
      }
    } finally {
      this.#askers.delete(peer);
    }
  }

  #decode(frames: readonly Uint8Array<ArrayBuffer>[]): Message | null {
    try {
      return this.#codec.decodeOnce(frames);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#rejected++;
      return null;
    }
  }
}
