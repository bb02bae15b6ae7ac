/**
 * The log of a cluster on NATS JetStream.
 */

import {
  checkLogName,
  type ClusterLog,
  FOLLOWED_BYTES,
  LogError,
  type LogRecord,
  type LogRole,
  type LogSession,
  type LogValue,
  type LogWait,
} from "../log.ts";
import { NatsLink } from "./link.ts";
import { type CheckedNatsOptions, checkNatsOptions, type NatsLogOptions } from "./nats_options.ts";
import { NatsObjects } from "./objects.ts";
import { NatsRecords } from "./records.ts";
import { type Handler, NatsRequests } from "./requests.ts";
import { inboxOf, NatsStores } from "./stores.ts";
import { checkValueSize, NatsValues } from "./values.ts";

/** The smallest message that every log must take. */
const LEAST_MESSAGE = 512 << 10;
/** Room for the headers of a message. */
const HEADERS = 4096;

/**
 * A log on servers of NATS with JetStream, version 2.12 or newer, for partitions on many machines. Records,
 * values and objects are kept by the servers as `durability` says; a server or a stream that promises less is
 * refused when a session is opened, and again when the connection was lost and made anew.
 *
 * It needs Deno (permission `net` for the servers), and fetches the packages `@nats-io/*` when the first
 * session is opened. An append costs one message and one acknowledgement, with "disk" one sync of the
 * server's disk.
 *
 * @param options See {@link NatsLogOptions}.
 * @throws {InputError} An option is not as expected. Sessions throw `LogError`, see `ClusterLog.open`.
 *
 * @example
 * ```ts ignore
 * import { connect, host, natsLog } from "@attune/attention/cluster";
 *
 * const log = natsLog({ servers: "127.0.0.1:4222", name: "memory", durability: "disk" });
 * await using _host = await host(log);
 * await using memory = await connect(log, { create: { dim: 64, valueDim: 64, partitions: 16 } });
 * ```
 */
export function natsLog(options: NatsLogOptions): ClusterLog {
  const checked = checkNatsOptions("natsLog", options);
  return {
    description: `nats ${checked.servers.join(",")} ${checked.name}`,
    open: (role: LogRole) => openSession(checked, role),
  };
}

async function openSession(options: CheckedNatsOptions, role: LogRole): Promise<LogSession> {
  if (!("Deno" in globalThis)) {
    throw new LogError(
      "open",
      "refused",
      "natsLog connects by the sockets of Deno, which are not there, expected Deno",
    );
  }
  const link = await NatsLink.open("open", options, options.auth, inboxOf(options.name, role));
  try {
    // A larger record would fit into no pull of a follower.
    const largest = Math.min(link.nc.info?.max_payload ?? 0, FOLLOWED_BYTES) - HEADERS;
    const stores = new NatsStores(link, options);
    await stores.open();
    if (largest < LEAST_MESSAGE) {
      const detail = `the servers take messages of ${largest + HEADERS} bytes`;
      throw new LogError(
        "open",
        "refused",
        `${detail}, expected max_payload of ${LEAST_MESSAGE + HEADERS} or more`,
      );
    }
    const values = await NatsValues.open(link, stores), objects = await NatsObjects.open(link, stores);
    return new NatsSession(link, options, stores, values, objects, largest);
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** A session over one connection. */
class NatsSession implements LogSession {
  readonly largestMessage: number;
  readonly #link: NatsLink;
  readonly #options: CheckedNatsOptions;
  readonly #stores: NatsStores;
  readonly #records: NatsRecords;
  readonly #values: NatsValues;
  readonly #objects: NatsObjects;
  readonly #requests: NatsRequests;

  constructor(
    link: NatsLink,
    options: CheckedNatsOptions,
    stores: NatsStores,
    values: NatsValues,
    objects: NatsObjects,
    largest: number,
  ) {
    this.#link = link;
    this.#options = options;
    this.#stores = stores;
    this.#values = values;
    this.#objects = objects;
    this.#records = new NatsRecords(link, stores);
    this.#requests = new NatsRequests(link, stores.names, largest);
    this.largestMessage = largest;
  }

  async append(
    subject: string,
    body: Uint8Array,
    options: LogWait & { readonly id?: string } = {},
  ): Promise<number> {
    checkLogName("append", "subject", subject);
    this.#checkSize("append", "record", body);
    return await this.#records.append(subject, body, options);
  }

  async *follow(
    subject: string,
    after: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogRecord[]> {
    checkLogName("follow", "subject", subject);
    this.#link.checkOpen("follow");
    yield* this.#records.follow(subject, after, options.signal);
  }

  async lastSequence(subject: string, options: LogWait = {}): Promise<number> {
    return await this.#records.lastSequence(checkLogName("lastSequence", "subject", subject), options);
  }

  async purge(subject: string, below: number, options: LogWait = {}): Promise<void> {
    await this.#records.purge(checkLogName("purge", "subject", subject), below, options);
  }

  async get(key: string, options: LogWait = {}): Promise<LogValue | null> {
    return await this.#values.get(checkLogName("get", "key", key), options);
  }

  async list(prefix: string, options: LogWait = {}): Promise<LogValue[]> {
    return await this.#values.list(prefix, options);
  }

  async put(
    key: string,
    value: Uint8Array,
    options: LogWait & { readonly revision?: number; readonly isVolatile?: boolean } = {},
  ): Promise<number | null> {
    checkLogName("put", "key", key);
    checkValueSize(value);
    return await this.#values.put(key, value, options);
  }

  async remove(key: string, options: LogWait & { readonly isVolatile?: boolean } = {}): Promise<void> {
    await this.#values.remove(checkLogName("remove", "key", key), options);
  }

  async *watch(prefix: string, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<LogValue> {
    this.#link.checkOpen("watch");
    yield* this.#values.watch(prefix, options.signal);
  }

  async putObject(name: string, bytes: Uint8Array, options: LogWait = {}): Promise<void> {
    await this.#objects.put(checkLogName("putObject", "name", name), bytes, options);
  }

  async getObject(name: string, options: LogWait = {}): Promise<Uint8Array<ArrayBuffer> | null> {
    return await this.#objects.get(checkLogName("getObject", "name", name), options);
  }

  async listObjects(prefix: string, options: LogWait = {}): Promise<string[]> {
    return await this.#objects.list(prefix, options);
  }

  async removeObject(name: string, options: LogWait = {}): Promise<void> {
    await this.#objects.remove(checkLogName("removeObject", "name", name), options);
  }

  async request(address: string, body: Uint8Array, options: LogWait = {}): Promise<Uint8Array<ArrayBuffer>> {
    checkLogName("request", "address", address);
    this.#checkSize("request", "request", body);
    return await this.#requests.request(address, body, options);
  }

  async serve(address: string, handler: Handler): Promise<AsyncDisposable> {
    return await this.#requests.serve(checkLogName("serve", "address", address), handler);
  }

  async facts(): Promise<Readonly<Record<string, string | number>>> {
    const state = await this.#stores.stateOfRecords("facts", 0);
    const { info } = this.#link.nc;
    return {
      server: info?.version ?? "",
      cluster: info?.cluster ?? "",
      servers: this.#stores.servers.map(({ name }) => name).join(" "),
      durability: this.#options.durability,
      records: state.messages,
      bytes: state.bytes,
      first: state.first_seq,
      last: state.last_seq,
      reconnects: this.#link.generation,
    };
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkSize(operation: string, what: string, body: Uint8Array): void {
    if (body.length <= this.largestMessage) return;
    const detail = `${what} has ${body.length} bytes, expected ${this.largestMessage} at most`;
    throw new LogError(operation, "refused", detail);
  }
}
