/**
 * The connection under the NATS client: TCP, or TLS after the server's greeting or before it, over Deno's own
 * sockets. The client's transport for Node can end a Deno process by an uncaught reset of the connection,
 * this one cannot.
 *
 * Invariant: no promise of this module is left without a handler, and whatever ends the connection resolves
 * `closed()` once, but only for a connection that was established: the client dials again when it resolves.
 */

// deno-lint-ignore no-import-prefix -- Published modules use no alias of an import map.
import type { ConnectionOptions, Server, ServerInfo, Transport } from "npm:@nats-io/nats-core@3.4.0/internal";

/** The TLS options of a connection; the client passes on the field `tls` of {@link ConnectionOptions}. */
export interface TransportTls {
  /** Certificates that are trusted beside those of the system, in PEM. */
  readonly ca?: string;
  /** The client's certificate and its key, in PEM; needs `handshakeFirst`. */
  readonly cert?: string;
  readonly key?: string;
  /** Whether TLS begins before the server's greeting, as the server's `handshake_first` asks. */
  readonly handshakeFirst?: boolean;
}

/** Bytes are read into pieces of a slab, since the client keeps views of what it is given. */
const SLAB = 1 << 18, LEAST_READ = 1 << 15;
/** A greeting is some hundred bytes; a peer that sends more without a line's end is no NATS server. */
const LONGEST_GREETING = 1 << 16;
/** How long frames may take to leave when the connection is closed. */
const FLUSH_MS = 1000;
const LINE_FEED = 10;

/** A connection to one server, as the NATS client wants it. */
export class DenoTransport implements Transport {
  readonly lang = "attune";
  readonly version = "1";
  closeError?: Error;
  #conn: Deno.TcpConn | Deno.TlsConn | null = null;
  #isEncrypted = false;
  #isConnected = false;
  #isDone = false;
  #greeting: Uint8Array | null = null;
  #frames: Uint8Array[] = [];
  #pumping: Promise<void> | null = null;
  readonly #closed = Promise.withResolvers<void | Error>();
  #slab: Uint8Array<ArrayBuffer> = new Uint8Array(SLAB);
  #used = 0;

  get isClosed(): boolean {
    return this.#isDone;
  }

  /** Dials, reads the greeting, and begins TLS where it is asked for. */
  async connect(server: Server, options: ConnectionOptions): Promise<void> {
    const tls: TransportTls | null = (options.tls as TransportTls | null | undefined) ?? null;
    const { hostname, port } = server;
    const name = server.tlsName || hostname;
    try {
      if (tls?.handshakeFirst) this.#keep(await dialTls(hostname, port, name, tls), true);
      else this.#keep(await Deno.connect({ hostname, port }), false);
      const info = await this.#readGreeting();
      if (tls && !this.#isEncrypted) {
        if (!info.tls_required && !info.tls_available) throw new Error("the server does not speak TLS");
        // Bytes that came before the handshake are not authenticated: only the greeting is kept, and nothing after
        // it.
        const plain = this.#conn as Deno.TcpConn;
        this.#conn = null;
        this.#keep(await startTls(plain, name, tls), true);
      } else if (info.tls_required && !this.#isEncrypted) {
        throw new Error("the server wants TLS, and none was asked for");
      }
      this.#isConnected = true;
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** Takes hold of a connection, or closes it where the client has given up meanwhile. */
  #keep(conn: Deno.TcpConn | Deno.TlsConn, isEncrypted: boolean): void {
    this.#conn = conn;
    this.#isEncrypted = isEncrypted;
    if (this.#isDone) {
      this.#drop();
      throw new Error("the connection was given up while it was made");
    }
    if ("setNoDelay" in conn) conn.setNoDelay(true);
  }

  async #readGreeting(): Promise<ServerInfo> {
    let text = new Uint8Array(0);
    while (true) {
      const piece = await this.#read();
      if (piece === null) throw new Error("the server closed the connection before its greeting");
      const longer = new Uint8Array(text.length + piece.length);
      longer.set(text);
      longer.set(piece, text.length);
      text = longer;
      const end = text.indexOf(LINE_FEED);
      if (end === -1 && text.length <= LONGEST_GREETING) continue;
      const match = /^INFO\s+([^\r\n]+)\r\n$/i.exec(new TextDecoder().decode(text.subarray(0, end + 1)));
      if (match === null) throw new Error("the greeting is not that of a NATS server");
      this.#greeting = text.subarray(0, end + 1);
      if (end + 1 < text.length) throw new Error("the server spoke on before it was answered");
      const info: unknown = JSON.parse(match[1]);
      if (typeof info !== "object" || info === null) {
        throw new Error("the greeting is not that of a NATS server");
      }
      return info as ServerInfo;
    }
  }

  /** The next bytes, in memory that nobody writes to again; null at the end. */
  async #read(): Promise<Uint8Array | null> {
    if (SLAB - this.#used < LEAST_READ) {
      this.#slab = new Uint8Array(SLAB);
      this.#used = 0;
    }
    const count = await this.#conn?.read(this.#slab.subarray(this.#used)) ?? null;
    if (count === null) return null;
    this.#used += count;
    return this.#slab.subarray(this.#used - count, this.#used);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    return this.#iterate();
  }

  async *#iterate(): AsyncGenerator<Uint8Array> {
    let failure: Error | undefined;
    try {
      if (this.#greeting) yield this.#greeting;
      while (!this.#isDone) {
        const piece = await this.#read();
        if (piece === null) return;
        yield piece;
      }
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    } finally {
      // This also happens where the client's parser throws at the bytes received.
      this.#end(failure);
    }
  }

  isEncrypted(): boolean {
    return this.#isEncrypted;
  }

  /** Sends a frame. A failure shows where the connection is read, or by pings that are not answered. */
  send(frame: Uint8Array): void {
    if (this.#isDone || this.#conn === null) return;
    this.#frames.push(frame);
    this.#pumping ??= this.#pump(this.#conn);
  }

  async #pump(conn: Deno.TcpConn | Deno.TlsConn): Promise<void> {
    try {
      while (this.#frames.length > 0) {
        const frame = this.#frames.length === 1 ? this.#frames[0] : joined(this.#frames);
        this.#frames = [];
        for (let at = 0; at < frame.length;) at += await conn.write(frame.subarray(at));
      }
    } catch {
      this.#frames = [];
    } finally {
      this.#pumping = null;
    }
  }

  /** Closes the connection; without an error, after what was sent before. */
  async close(error?: Error): Promise<void> {
    if (!this.#isConnected || this.#isDone) return this.#drop();
    if (!error && this.#pumping) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => timer = setTimeout(resolve, FLUSH_MS));
      await Promise.race([this.#pumping, late]);
      clearTimeout(timer);
    }
    this.#end(error);
  }

  disconnect(): void {
    this.#end(undefined);
  }

  closed(): Promise<void | Error> {
    return this.#closed.promise;
  }

  /** Lets go of the connection without a word: the client has given it up. */
  discard(): void {
    this.#isDone = true;
    this.#drop();
  }

  #end(error: Error | undefined): void {
    if (!this.#isConnected || this.#isDone) return this.#drop();
    this.#isDone = true;
    if (error) this.closeError = error;
    this.#drop();
    this.#closed.resolve(error);
  }

  #drop(): void {
    const conn = this.#conn;
    this.#conn = null;
    this.#frames = [];
    try {
      conn?.close();
    } catch {
      // It was closed by its other end.
    }
  }
}

async function dialTls(
  hostname: string,
  port: number,
  name: string,
  { ca, cert, key }: TransportTls,
): Promise<Deno.TlsConn> {
  const caCerts = ca === undefined ? {} : { caCerts: [ca] };
  if (cert === undefined || key === undefined) {
    return startTls(await Deno.connect({ hostname, port }), name, { ...ca !== undefined && { ca } });
  }
  return await Deno.connectTls({ hostname: name, port, cert, key, ...caCerts });
}

async function startTls(conn: Deno.TcpConn, hostname: string, { ca }: TransportTls): Promise<Deno.TlsConn> {
  const secure = await Deno.startTls(conn, { hostname, ...ca !== undefined && { caCerts: [ca] } });
  try {
    await secure.handshake();
    return secure;
  } catch (error) {
    secure.close();
    throw error;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
