/**
 * The folder of a host: snapshots of its partitions as files, so that a host that is started again need not
 * load them from the log. It is a cache; the log alone is the truth.
 */

import { describe, InputError } from "../base/errors.ts";
import { decodeSnapshot, type SnapshotOf } from "./snapshot.ts";

/** Files of snapshots. */
export class HostFolder {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /**
   * Opens a folder, or makes one.
   *
   * @throws {InputError} When it cannot be made.
   */
  static async open(operation: string, path: string): Promise<HostFolder> {
    try {
      await Deno.mkdir(path, { recursive: true });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const got = `folder is ${describe(path)}, which cannot be made (${why})`;
      throw new InputError(operation, got, "the path of a folder that may be written", { cause });
    }
    return new HostFolder(path);
  }

  /** The snapshot of a subject; null if there is none that is whole. */
  async read(subject: string, of: SnapshotOf): Promise<Uint8Array<ArrayBuffer> | null> {
    try {
      const bytes = await Deno.readFile(this.#file(subject));
      decodeSnapshot(of, bytes);
      return bytes;
    } catch {
      return null;
    }
  }

  /** Keeps a snapshot, and removes the earlier one. */
  async write(subject: string, bytes: Uint8Array): Promise<void> {
    const file = this.#file(subject);
    await Deno.writeFile(`${file}.new`, bytes);
    await Deno.rename(`${file}.new`, file);
  }

  #file(subject: string): string {
    return `${this.#path}/${subject}.snapshot`;
  }
}
