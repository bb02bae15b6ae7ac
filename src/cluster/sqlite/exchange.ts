/**
 * Requests between the processes of a machine, over loopback. A process that serves listens on a free port;
 * port and secret are a value of the log, so that only processes that can read the folder can ask.
 *
 *     request  32 bytes secret, u32 number, u32 length, body        the secret once, at the beginning of a connection
 *     reply    u32 number, u32 length, body                         length 2^32 − 1 and no body: the reply is too large
 *
 * Invariant: lengths are checked before anything is read, and a connection that says anything else is closed.
 */

import { LogError } from "../log.ts";

const HOSTNAME = "127.0.0.1", SECRET_BYTES = 32, HEADER_BYTES = 8;
const TOO_LARGE = 2 ** 32 - 1;

type Bytes = Uint8Array<ArrayBuffer>;

/** Where somebody serves. */
export interface Place {
  readonly port: number;
  readonly secret: Bytes;
}

/** Reads `count` bytes; null at the end of the stream. */
async function readBytes(connection: Deno.Conn, count: number): Promise<Bytes | null> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const read = await connection.read(bytes.subarray(at));
    if (read === null) return null;
    at += read;
  }
  return bytes;
}

async function readMessage(
  connection: Deno.Conn,
  largest: number,
): Promise<{ readonly number: number; readonly body: Bytes | null } | null> {
  const header = await readBytes(connection, HEADER_BYTES);
  if (header === null) return null;
  const view = new DataView(header.buffer),
    number = view.getUint32(0, true),
    length = view.getUint32(4, true);
  if (length === TOO_LARGE) return { number, body: null };
  if (length > largest) return null;
  const body = await readBytes(connection, length);
  return body && { number, body };
}

/** Writes messages one after another. */
class Sender {
  readonly #connection: Deno.Conn;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  send(number: number, body: Uint8Array): Promise<void> {
    const bytes = new Uint8Array(HEADER_BYTES + body.length), view = new DataView(bytes.buffer);
    view.setUint32(0, number, true);
    view.setUint32(4, body.length, true);
    bytes.set(body, HEADER_BYTES);
    return this.raw(bytes);
  }

  tooLarge(number: number): Promise<void> {
    return this.raw(new Uint8Array(Uint32Array.of(number, TOO_LARGE).buffer));
  }

  raw(bytes: Uint8Array): Promise<void> {
    const sent = this.#turn.then(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
    });
    this.#turn = sent.catch(() => {});
    return sent;
  }
}

/** Serves requests until it is closed. */
export class ExchangeServer {
  readonly place: Place;
  readonly #listener: Deno.Listener;
  readonly #connections = new Set<Deno.Conn>();
  readonly #largest: number;
  readonly #handler: (body: Bytes) => Promise<Uint8Array> | Uint8Array;

  constructor(largest: number, handler: (body: Bytes) => Promise<Uint8Array> | Uint8Array) {
    this.#largest = largest;
    this.#handler = handler;
    this.#listener = Deno.listen({ hostname: HOSTNAME, port: 0 });
    const { port } = this.#listener.addr as Deno.NetAddr;
    this.place = { port, secret: crypto.getRandomValues(new Uint8Array(SECRET_BYTES)) };
    this.#accept();
  }

  close(): void {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) this.#answer(connection);
    } catch {
      // The listener was closed.
    }
  }

  async #answer(connection: Deno.Conn): Promise<void> {
    this.#connections.add(connection);
    try {
      const secret = await readBytes(connection, SECRET_BYTES);
      if (secret === null || !isSame(secret, this.place.secret)) return;
      const sender = new Sender(connection);
      for (;;) {
        const message = await readMessage(connection, this.#largest);
        if (!message?.body) return;
        this.#reply(sender, message.number, message.body);
      }
    } catch {
      // The other side is gone.
    } finally {
      this.#connections.delete(connection);
      close(connection);
    }
  }

  async #reply(sender: Sender, number: number, body: Bytes): Promise<void> {
    try {
      const reply = await this.#handler(body);
      if (reply.length > this.#largest) await sender.tooLarge(number);
      else await sender.send(number, reply);
    } catch {
      // A handler that throws gives no answer, and a client that is gone gets none.
    }
  }
}

/** A connection to somebody who serves. */
export class ExchangeClient {
  readonly #connection: Deno.Conn;
  readonly #sender: Sender;
  readonly #open = new Map<number, PromiseWithResolvers<Bytes>>();
  #number = 0;
  #isClosed = false;

  private constructor(connection: Deno.Conn, largest: number) {
    this.#connection = connection;
    this.#sender = new Sender(connection);
    this.#listen(largest);
  }

  /** Connects; "unreachable" if nobody listens. */
  static async connect({ port, secret }: Place, largest: number): Promise<ExchangeClient> {
    let connection: Deno.TcpConn;
    try {
      connection = await Deno.connect({ hostname: HOSTNAME, port });
    } catch (cause) {
      if (cause instanceof Deno.errors.NotCapable) throw cause;
      throw new LogError("request", "unreachable", `nobody listens at port ${port}`, { cause });
    }
    connection.setNoDelay(true);
    const client = new ExchangeClient(connection, largest);
    client.#sender.raw(secret).catch(() => client.close());
    return client;
  }

  /** Whether it is of no use any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Asks; "unreachable" if the other side ends before it answers. */
  async ask(body: Uint8Array, signal: AbortSignal): Promise<Bytes> {
    if (this.#isClosed) throw gone();
    const number = this.#number = (this.#number + 1) >>> 0, reply = Promise.withResolvers<Bytes>();
    this.#open.set(number, reply);
    const abort = () => reply.reject(signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    try {
      this.#sender.send(number, body).catch(() => this.close());
      return await reply.promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#open.delete(number);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    close(this.#connection);
    for (const reply of this.#open.values()) reply.reject(gone());
  }

  async #listen(largest: number): Promise<void> {
    try {
      for (;;) {
        const message = await readMessage(this.#connection, largest);
        if (message === null) break;
        const open = this.#open.get(message.number);
        if (message.body) open?.resolve(message.body);
        else open?.reject(new LogError("request", "refused", `reply has more than ${largest} bytes`));
      }
    } catch {
      // The other side is gone.
    }
    this.close();
  }
}

function gone(): LogError {
  return new LogError("request", "unreachable", "the host has closed the connection");
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0;
  for (let at = 0; at < b.length; at++) difference |= a[at] ^ b[at];
  return difference === 0;
}
