/**
 * Objects in the servers' object store: whole or not at all.
 */

import { LogError, type LogWait } from "../log.ts";
import type { NatsLink } from "./link.ts";
import { failureOf } from "./nats_errors.ts";
import type { Obj } from "./packages.ts";
import type { NatsStores } from "./stores.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The largest object. */
const LARGEST = 2 ** 30;
/** Time that an object may take for each of its bytes, beside what the caller allows. */
const BYTES_A_MS = 4096;
const DIGEST = "SHA-256=";

/** Keeps, gives and removes objects. */
export class NatsObjects {
  readonly #link: NatsLink;
  readonly #stores: NatsStores;
  readonly #bucket: Obj.ObjectStore;

  private constructor(link: NatsLink, stores: NatsStores, bucket: Obj.ObjectStore) {
    this.#link = link;
    this.#stores = stores;
    this.#bucket = bucket;
  }

  static async open(link: NatsLink, stores: NatsStores): Promise<NatsObjects> {
    const manager = new link.packages.obj.Objm(link.js);
    const bucket = await link.call("open", {}, "always", () => manager.open(stores.names.objects, false));
    return new NatsObjects(link, stores, bucket);
  }

  async put(name: string, bytes: Uint8Array, options: LogWait): Promise<void> {
    if (bytes.length > LARGEST) {
      throw new LogError(
        "putObject",
        "refused",
        `object has ${bytes.length} bytes, expected ${LARGEST} at most`,
      );
    }
    const digest = await digestOf(bytes);
    const put = async () => {
      const kept = await this.#bucket.info(name);
      if (kept !== null && !kept.deleted) {
        if (kept.digest === digest && kept.size === bytes.length) return;
        throw new LogError(
          "putObject",
          "refused",
          `name ${name} has other bytes, expected a name without any`,
        );
      }
      try {
        await this.#bucket.putBlob({ name }, bytes, { previousRevision: kept?.revision ?? 0 });
      } catch (error) {
        // Somebody else has put an object of that name; the next attempt compares it.
        if (failureOf(this.#link.packages, error) === "conflict") {
          throw new Error("the name was taken meanwhile");
        }
        throw error;
      }
    };
    await this.#link.call("putObject", this.#waitFor(bytes.length, options), "always", put, true);
  }

  async get(name: string, options: LogWait): Promise<Bytes | null> {
    const info = await this.#link.call("getObject", options, "always", () => this.#bucket.info(name));
    if (info === null || info.deleted) return null;
    if (!(info.size >= 0 && info.size <= LARGEST)) {
      throw new LogError("getObject", "damaged", `object ${name} says that it has ${info.size} bytes`);
    }
    await this.#demandChunks(name, info, options);
    const wait = this.#waitFor(info.size, options);
    const bytes = await this.#link.call(
      "getObject",
      wait,
      "always",
      () =>
        this.#bucket.getBlob(name).catch((error) => {
          // The client reports a digest that does not match only in the words of its message.
          if (!(error instanceof Error) || !error.message.includes("corrupt")) throw error;
          throw new LogError("getObject", "damaged", `object ${name}: its bytes are not those that were put`);
        }),
    );
    if (bytes === null) return null;
    if (bytes.length !== info.size || await digestOf(bytes) !== info.digest) {
      throw new LogError("getObject", "damaged", `object ${name}: its bytes are not those that were put`);
    }
    return new Uint8Array(bytes);
  }

  async list(prefix: string, options: LogWait): Promise<string[]> {
    const infos = await this.#link.call("listObjects", options, "always", () => this.#bucket.list());
    return infos.filter(({ deleted }) => !deleted).map(({ name }) => name).filter((name) =>
      name.startsWith(prefix)
    )
      .sort();
  }

  async remove(name: string, options: LogWait): Promise<void> {
    await this.#link.call("removeObject", options, "always", async () => {
      const info = await this.#bucket.info(name);
      if (info !== null && !info.deleted) await this.#bucket.delete(name);
    }, true);
  }

  /** The client would wait for ever for a piece that is gone. */
  async #demandChunks(name: string, { nuid, chunks }: Obj.ObjectInfo, options: LogWait): Promise<void> {
    const bucket = this.#stores.names.objects, subject = `$O.${bucket}.C.${nuid}`;
    const info = await this.#link.call(
      "getObject",
      options,
      "always",
      () => this.#link.jsm.streams.info(`OBJ_${bucket}`, { subjects_filter: subject }),
    );
    const found = info.state.subjects?.[subject] ?? 0;
    if (found === chunks) return;
    throw new LogError("getObject", "damaged", `object ${name} has ${found} pieces, expected ${chunks}`);
  }

  /** Time for a small call, and for the bytes. */
  #waitFor(bytes: number, options: LogWait): LogWait {
    const { timeoutMs = 5000, signal } = options;
    return { timeoutMs: timeoutMs + Math.ceil(bytes / BYTES_A_MS), ...signal && { signal } };
  }
}

/** As the object store writes it: URL-safe base64 with padding. */
async function digestOf(bytes: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Bytes));
  return DIGEST + hash.toBase64({ alphabet: "base64url" });
}
