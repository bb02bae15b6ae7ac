/**
 * Takes connections on a port and greets them.
 *
 * Invariant: whatever somebody sends, the port stays open for others. Strangers who have not greeted yet are few, and
 * have little time.
 */

import { ProtocolError } from "../errors.ts";
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
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #type: SocketType;
  readonly #serve: (peer: Peer) => Promise<void>;
  #strangers = 0;
  #rejected = 0;

  /** Each connection that speaks ZMTP is served until `serve` is done with it. */
  constructor(ip: string, port: number, type: SocketType, serve: (peer: Peer) => Promise<void>) {
    this.#listener = Deno.listen({ hostname: ip, port });
    this.port = this.#listener.addr.port;
    this.#type = type;
    this.#serve = serve;
    this.#accept();
  }

  /** Connections that did not greet as they should. */
  get rejected(): number {
    return this.#rejected;
  }

  /** Ends everything. */
  [Symbol.dispose](): void {
    this.#listener.close();
    for (const stream of this.#open) close(stream);
  }

  async #accept(): Promise<void> {
    for (;;) {
      let stream: Deno.TcpConn;
      try {
        stream = await this.#listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        // Somebody who hung up while the system took the call, or too many open files for a moment.
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      if (this.#strangers >= STRANGERS || this.#open.size >= CONNECTIONS) {
        this.#rejected++;
        close(stream);
        continue;
      }
      this.#greet(stream);
    }
  }

  async #greet(stream: Deno.TcpConn): Promise<void> {
    this.#open.add(stream);
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
      this.#open.delete(stream);
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
      this.#open.delete(stream);
      peer.close();
    }
  }
}

function close(stream: Deno.TcpConn): void {
  try {
    stream.close();
  } catch {
    // It was closed before.
  }
}
