/**
 * The places of those who serve addresses, which are values of the SQLite file, and requests to them.
 *
 *     served.ADDRESS     { port, secret } of the process that serves it, see `exchange.ts`
 */

import { fromHex, readJson, textIn, toHex, writeJson } from "../json_value.ts";
import { LOG_TIMEOUT_MS, LogError, type LogWait } from "../log.ts";
import { ExchangeClient, ExchangeServer, type Place } from "./exchange.ts";
import { type SqliteStore, toLogError } from "./store.ts";

const SERVED = "served.";

type Bytes = Uint8Array<ArrayBuffer>;

/** Asks and serves for one session. */
export class SqliteRequests {
  readonly #store: SqliteStore;
  readonly #largest: number;
  readonly #closing: AbortSignal;
  readonly #servers = new Map<string, ExchangeServer>();
  /** The connection to whoever served an address lately, and its secret. */
  readonly #clients = new Map<
    string,
    { readonly secret: string; readonly client: Promise<ExchangeClient> }
  >();
  readonly #tell: () => void;

  /**
   * @param closing Ends with the session.
   * @param tell Called after a value was written.
   */
  constructor(store: SqliteStore, largest: number, closing: AbortSignal, tell: () => void) {
    this.#store = store;
    this.#tell = tell;
    this.#largest = largest;
    this.#closing = closing;
  }

  /** Asks whoever serves an address. */
  async request(address: string, body: Uint8Array, options: LogWait): Promise<Bytes> {
    const { timeoutMs = LOG_TIMEOUT_MS, signal } = options;
    const over = new AbortController(), end = () => over.abort(signal?.reason);
    const timer = setTimeout(
      () => over.abort(new LogError("request", "timeout", `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const closed = () => over.abort(new LogError("request", "closed", "the session is closed"));
    signal?.addEventListener("abort", end);
    this.#closing.addEventListener("abort", closed);
    try {
      const client = await this.#clientOf(address);
      return await client.ask(body, over.signal);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      this.#closing.removeEventListener("abort", closed);
    }
  }

  /** Serves an address that nobody serves. */
  async serve(
    address: string,
    handler: (body: Bytes) => Promise<Uint8Array> | Uint8Array,
  ): Promise<AsyncDisposable> {
    if (this.#servers.has(address) || await this.#isServed(address)) {
      throw new LogError("serve", "refused", `address ${address} is served, expected one that nobody serves`);
    }
    const server = new ExchangeServer(this.#largest, handler), { port, secret } = server.place;
    this.#servers.set(address, server);
    try {
      if (this.#closing.aborted) throw new LogError("serve", "closed", "the session is closed");
      this.#store.put(SERVED + address, writeJson({ port, secret: toHex(secret) }), undefined);
      this.#tell();
    } catch (error) {
      this.#servers.delete(address);
      server.close();
      throw toLogError("serve", error);
    }
    return {
      [Symbol.asyncDispose]: () => {
        if (this.#servers.delete(address)) this.#end(address, server);
        return Promise.resolve();
      },
    };
  }

  /** Ends everything that is served. */
  endServing(): void {
    for (const [address, server] of this.#servers) this.#end(address, server);
    this.#servers.clear();
  }

  /** Closes all connections. */
  async endAsking(): Promise<void> {
    const clients = Array.from(this.#clients.values(), ({ client }) => client);
    for (const client of clients) client.then((one) => one.close(), () => {});
    await Promise.allSettled(clients);
  }

  #end(address: string, server: ExchangeServer): void {
    server.close();
    try {
      this.#store.put(SERVED + address, null, undefined);
      this.#tell();
    } catch {
      // A request finds that nobody listens there.
    }
  }

  async #clientOf(address: string): Promise<ExchangeClient> {
    const place = this.#placeOf(address), secret = toHex(place.secret), known = this.#clients.get(address);
    if (known?.secret === secret) {
      const client = await known.client;
      if (!client.isClosed) return client;
    } else known?.client.then((one) => one.close(), () => {});
    const client = ExchangeClient.connect(place, this.#largest);
    this.#clients.set(address, { secret, client });
    try {
      return await client;
    } catch (error) {
      if (this.#clients.get(address)?.client === client) this.#clients.delete(address);
      throw error;
    }
  }

  #placeOf(address: string): Place {
    const key = SERVED + address, kept = this.#kept(key);
    if (!kept?.value) throw new LogError("request", "unreachable", `nobody serves ${address}`);
    const json = readJson("request", key, kept.value), secret = fromHex(textIn(json, "secret"), 32);
    const { port } = json;
    if (typeof port === "number" && secret !== null) return { port, secret };
    throw new LogError("request", "damaged", `the place of ${address} is none`);
  }

  #kept(key: string) {
    try {
      return this.#store.get(key);
    } catch (error) {
      throw toLogError("request", error);
    }
  }

  /**
   * Whether somebody listens at the place of an address; a process that was killed has left its place there.
   */
  async #isServed(address: string): Promise<boolean> {
    try {
      await this.#clientOf(address);
      return true;
    } catch (error) {
      if (error instanceof LogError && error.reason === "unreachable") return false;
      throw error;
    }
  }
}
