/**
 * Greets connections on a port.
 *
 * Invariant: whatever somebody sends, others are greeted all the same. Strangers who have not greeted yet are few, and
 * have little time.
 */

import { ProtocolError } from "../errors.ts";
import { Listener } from "../listener.ts";
import type { SocketType } from "../zmtp/handshake.ts";
import { Peer } from "../zmtp/peer.ts";

/** Who has not greeted yet is a stranger, and there may be so many at once; and so many connections in all. */
const STRANGERS = 64, CONNECTIONS = 512;
const GREETING_MS = 5000;
/** What somebody may send who has not shown yet that they know the key, in bytes. */
const UNKNOWN_LIMIT = 2 ** 24;

/** Listens until it is closed. */
export class Acceptor implements Disposable {
  /** Where it listens. */
  readonly port: number;
  readonly #listener: Listener;
  readonly #type: SocketType;
  readonly #serve: (peer: Peer) => Promise<void>;
  #strangers = 0;
  #rejected = 0;

  /** Each connection that speaks ZMTP is served until `serve` is done with it. */
  constructor(ip: string, port: number, type: SocketType, serve: (peer: Peer) => Promise<void>) {
    this.#type = type;
    this.#serve = serve;
    this.#listener = new Listener(ip, port, (stream) => this.#take(stream));
    this.port = this.#listener.port;
  }

  /** Connections that did not greet as they should. */
  get rejected(): number {
    return this.#rejected;
  }

  /** Ends everything. */
  [Symbol.dispose](): void {
    this.#listener[Symbol.dispose]();
  }

  #take(stream: Deno.TcpConn): Promise<void> | null {
    if (this.#strangers < STRANGERS && this.#listener.connections < CONNECTIONS) return this.#greet(stream);
    this.#rejected++;
    return null;
  }

  async #greet(stream: Deno.TcpConn): Promise<void> {
    this.#strangers++;
    let peer: Peer;
    try {
      stream.setNoDelay(true);
      peer = await Peer.open(stream, {
        type: this.#type,
        handshakeMs: GREETING_MS,
        messageLimit: UNKNOWN_LIMIT,
      });
    } catch {
      this.#rejected++;
      return;
    } finally {
      this.#strangers--;
    }
    try {
      await this.#serve(peer);
    } catch (error) {
      // What is not of the protocol ends the connection; anything else is a mistake of ours and is not hidden.
      if (!(error instanceof ProtocolError)) throw error;
      this.#rejected++;
    } finally {
      peer.close();
    }
  }
}
