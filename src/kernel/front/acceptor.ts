/**
 * Greets connections on a port.
 *
 * Invariant: whatever somebody sends, others are greeted all the same. Other users of the machine are not let in where the
 * system tells who they are. Those who have not shown yet that they know the key are few, the oldest of them makes room
 * for the next, and they may say little.
 */

import { ProtocolError } from "../errors.ts";
import { closeStream, Listener } from "../listener.ts";
import type { SocketType } from "../zmtp/handshake.ts";
import { Peer } from "../zmtp/peer.ts";
import { isOfOther } from "./neighbours.ts";

/** There may be so many strangers at once, who have not shown that they know the key; and so many connections in all. */
const STRANGERS = 64, CONNECTIONS = 512;
const GREETING_MS = 5000;
/** The most that a stranger may send in one message: bytes, and frames. */
const UNKNOWN_LIMIT = 2 ** 16, UNKNOWN_FRAMES = 16;
/** On these sockets nobody ever shows that they know the key. */
const UNSIGNED: ReadonlySet<SocketType> = new Set(["PUB", "REP"]);

/** Listens until it is closed. */
export class Acceptor implements Disposable {
  /** Where it listens. */
  readonly port: number;
  readonly #listener: Listener;
  readonly #type: SocketType;
  readonly #serve: (peer: Peer, trust: () => void) => Promise<void>;
  /** The oldest first. */
  readonly #strangers = new Set<Deno.TcpConn>();
  #rejected = 0;

  /**
   * Each connection that speaks ZMTP is served until `serve` is done with it; `trust` is for who has shown that they know
   * the key.
   */
  constructor(
    ip: string,
    port: number,
    type: SocketType,
    serve: (peer: Peer, trust: () => void) => Promise<void>,
  ) {
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
    if (isOfOther(stream) || this.#listener.connections >= CONNECTIONS) {
      this.#rejected++;
      return null;
    }
    if (this.#strangers.size >= STRANGERS) {
      const [oldest] = this.#strangers;
      this.#strangers.delete(oldest);
      this.#rejected++;
      closeStream(oldest);
    }
    return this.#greet(stream);
  }

  async #greet(stream: Deno.TcpConn): Promise<void> {
    this.#strangers.add(stream);
    let peer: Peer;
    try {
      stream.setNoDelay(true);
      peer = await Peer.open(stream, {
        type: this.#type,
        handshakeMs: GREETING_MS,
        messageLimit: UNKNOWN_LIMIT,
        frameLimit: UNKNOWN_FRAMES,
      });
    } catch {
      this.#strangers.delete(stream);
      this.#rejected++;
      return;
    }
    if (UNSIGNED.has(this.#type)) this.#strangers.delete(stream);
    try {
      await this.#serve(peer, () => {
        this.#strangers.delete(stream);
        peer.trust();
      });
    } catch (error) {
      // A breach of the protocol ends the connection; any other error is a mistake of ours and is not hidden.
      if (!(error instanceof ProtocolError)) throw error;
      this.#rejected++;
    } finally {
      this.#strangers.delete(stream);
      peer.close();
    }
  }
}
