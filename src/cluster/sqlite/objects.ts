/**
 * Objects of a log in files: the bytes of each are a file in `objects/`, which the SQLite file knows by size
 * and checksum.
 *
 * Invariant: an object that the SQLite file knows was written and synced as a whole before.
 */

import { crc32 } from "node:zlib";
import { LogError } from "../log.ts";
import { type SqliteStore, toLogError } from "./store.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Keeps, gives and removes objects. */
export class ObjectFiles {
  readonly #folder: string;
  readonly #store: SqliteStore;
  readonly #busy = new Set<Promise<unknown>>();

  constructor(folder: string, store: SqliteStore) {
    this.#folder = folder;
    this.#store = store;
  }

  /** Keeps an object; the same bytes again are no error. */
  async put(name: string, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice(), crc = crc32(copy);
    await this.#working("putObject", async () => {
      const kept = this.#store.object(name);
      if (kept) {
        if (kept.crc === crc && kept.bytes === copy.length) return;
        const detail = `name ${name} has other bytes, expected a name without any`;
        throw new LogError("putObject", "refused", detail);
      }
      const file = this.#file(name), fresh = `${file}.${crypto.randomUUID()}`;
      // Node 20, which loads this module without calling it, cannot read `using`.
      const handle = await Deno.open(fresh, { write: true, createNew: true });
      try {
        for (let at = 0; at < copy.length;) at += await handle.write(copy.subarray(at));
        await handle.sync();
      } finally {
        handle.close();
      }
      await Deno.rename(fresh, file);
      this.#store.addObject(name, copy.length, crc);
    });
  }

  /** An object, whole; null if there is none. */
  async get(name: string): Promise<Bytes | null> {
    return await this.#working("getObject", async () => {
      const kept = this.#store.object(name);
      if (!kept) return null;
      const bytes = await this.#read(name);
      if (bytes !== null && bytes.length === kept.bytes && crc32(bytes) === kept.crc) return bytes;
      // It may have been removed meanwhile.
      if (this.#store.object(name) === null) return null;
      throw new LogError("getObject", "damaged", `object ${name} has not the bytes that were put`);
    });
  }

  /** Removes an object; nothing happens if there is none. */
  async remove(name: string): Promise<void> {
    await this.#working("removeObject", async () => {
      if (!this.#store.object(name)) return;
      this.#store.removeObject(name);
      try {
        await Deno.remove(this.#file(name));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    });
  }

  /** Waits until nothing is written or read any more. */
  async whenIdle(): Promise<void> {
    await Promise.allSettled(this.#busy);
  }

  async #read(name: string): Promise<Bytes | null> {
    try {
      return await Deno.readFile(this.#file(name));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  }

  async #working<T>(operation: string, act: () => Promise<T>): Promise<T> {
    const work = act();
    this.#busy.add(work);
    try {
      return await work;
    } catch (error) {
      throw toLogError(operation, error);
    } finally {
      this.#busy.delete(work);
    }
  }

  #file(name: string): string {
    return `${this.#folder}/objects/${name}`;
  }
}
