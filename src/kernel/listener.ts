/**
 * Takes connections on a port, one after the other, for whoever serves them.
 *
 * Invariant: whatever happens to one connection, the port stays open for others; a connection that is no longer served is
 * closed, and so is every one when the listener is.
 */

/** How long to wait after a connection could not be taken. */
const RETRY_MS = 10;

/** Serves a connection until the promise settles; null refuses it. */
export type Serve = (stream: Deno.TcpConn) => Promise<void> | null;

/** Listens until it is closed. */
export class Listener implements Disposable {
  /** Where it listens. */
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #serve: Serve;

  /** Port 0 is any that is free. */
  constructor(hostname: string, port: number, serve: Serve) {
    this.#listener = Deno.listen({ hostname, port });
    this.port = this.#listener.addr.port;
    this.#serve = serve;
    this.#accept();
  }

  /** Connections that are served now. */
  get connections(): number {
    return this.#open.size;
  }

  /** Ends everything; once more is no harm. */
  [Symbol.dispose](): void {
    try {
      this.#listener.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    for (const stream of this.#open) closeStream(stream);
  }

  async #accept(): Promise<void> {
    for (;;) {
      let stream: Deno.TcpConn;
      try {
        stream = await this.#listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        // A client hung up while the system accepted it, or too many files were open for a moment.
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        continue;
      }
      const served = this.#serve(stream);
      if (served === null) closeStream(stream);
      else this.#hold(stream, served);
    }
  }

  /** An error that a server did not foresee is not hidden: it stays a rejection that nobody handles. */
  async #hold(stream: Deno.TcpConn, served: Promise<void>): Promise<void> {
    this.#open.add(stream);
    try {
      await served;
    } finally {
      this.#open.delete(stream);
      closeStream(stream);
    }
  }
}

/** Closes a connection, whether or not it was closed before. */
export function closeStream(stream: Deno.TcpConn): void {
  try {
    stream.close();
  } catch {
    // It was closed already.
  }
}
