/**
 * The files of a durable folder, and who owns it.
 *
 *     LOCK                              locked by the owner while it is open; its text is the owner's process number
 *     HEAD                              the newest commit, see `head_file.ts`
 *     journal.db, -wal, -shm            records and pointers, see `journal_database.ts`
 *     snapshot-<sequence>.safetensors   the rows as of an edit, a file that `DynamicAttention.load` reads
 *     *.tmp                             a snapshot that is being written; left over, it means nothing
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, InputError } from "../base/errors.ts";
import { DurabilityError } from "./durability_error.ts";

export const LOCK_FILE = "LOCK";
const SNAPSHOT = /^snapshot-(\d+)\.safetensors$/;

/** A folder by its path. */
export class Folder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The path of a file in it. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** What is in it; nothing where it does not exist. */
  names(): string[] {
    try {
      return [...Deno.readDirSync(this.path)].map(({ name }) => name);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** The sequence numbers of the snapshot files, the newest first. */
  snapshots(): number[] {
    const numbers = this.names().flatMap((name) => Number(SNAPSHOT.exec(name)?.[1] ?? NaN));
    return numbers.filter((number) => !Number.isNaN(number)).sort((a, b) => b - a);
  }

  has(name: string): boolean {
    return this.names().includes(name);
  }

  /** Removes a file that may be gone already. */
  remove(name: string): void {
    try {
      Deno.removeSync(this.file(name));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** As `remove`, on another thread: a large file takes the system a while. */
  async removeLarge(name: string): Promise<void> {
    try {
      await Deno.remove(this.file(name));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Makes it where it does not exist. */
  make(): void {
    const parents = this.#newParents();
    Deno.mkdirSync(this.path, { recursive: true });
    for (const parent of parents) syncFolder(parent);
  }

  /** The folders that get an entry when it is made, as far as the caller has let this process look at them. */
  #newParents(): string[] {
    const parents: string[] = [];
    for (
      let path = this.path, parent = dirname(path);
      path !== parent;
      path = parent, parent = dirname(path)
    ) {
      const { state } = Deno.permissions.querySync({ name: "read", path: parent });
      if (isThere(path) || state !== "granted") break;
      parents.push(parent);
    }
    return parents;
  }

  /** Puts on disk which files are in it. */
  async sync(): Promise<void> {
    // Windows cannot open a folder as a file, and keeps its entries by itself.
    if (Deno.build.os === "windows") return;
    using folder = await Deno.open(this.path);
    await folder.sync();
  }

  /** Puts a file on disk, if there is one. */
  async syncFile(name: string): Promise<void> {
    if (!this.has(name)) return;
    using file = await Deno.open(this.file(name), { write: true });
    await file.sync();
  }
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function syncFolder(path: string): void {
  if (Deno.build.os === "windows") return;
  using folder = Deno.openSync(path);
  folder.syncSync();
}

/** The path of a folder as a caller gives it. */
export function toPath(operation: string, folder: unknown): string {
  if (typeof folder === "string" && folder !== "") return folder;
  if (folder instanceof URL && folder.protocol === "file:") {
    try {
      return fileURLToPath(folder);
    } catch {
      // This URL names no file of this system.
    }
  }
  throw new InputError(operation, `folder is ${describe(folder)}`, "a path or a file: URL");
}

/** The lock of an owner; the system drops it when the process ends, however it ends. */
export class FolderLock {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** @throws {DurabilityError} When somebody else owns the folder. */
  static take(operation: string, folder: Folder): FolderLock {
    const path = folder.file(LOCK_FILE);
    const file = openLock(operation, folder, path);
    if (!file.tryLockSync(true)) {
      file.close();
      const owner = Deno.readTextFileSync(path).trim();
      const by = owner === "" ? "" : ` by process ${owner}`;
      const detail = `${folder.path} is open for writing${by}, expected nobody, or the option readOnly`;
      throw new DurabilityError(operation, "locked", detail, { folder: folder.path });
    }
    try {
      file.truncateSync();
      file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
    } catch (error) {
      // The system drops the lock with the file.
      file.close();
      throw error;
    }
    return new FolderLock(file);
  }

  release(): void {
    this.#file.unlockSync();
    this.#file.close();
  }
}

function openLock(operation: string, folder: Folder, path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { create: true, read: true, write: true });
  } catch (cause) {
    const isReadOnly = cause instanceof Deno.errors.PermissionDenied ||
      (cause instanceof Error && "code" in cause && cause.code === "EROFS");
    if (!isReadOnly) throw cause;
    const detail =
      `${folder.path} cannot be written (${cause.message}), expected the right to, or the option readOnly`;
    throw new DurabilityError(operation, "read-only", detail, { folder: folder.path, cause });
  }
}

/** Whether an owner has a folder open. */
export function isLocked(folder: Folder): boolean {
  try {
    using file = Deno.openSync(folder.file(LOCK_FILE), { read: true });
    if (!file.tryLockSync(false)) return true;
    file.unlockSync();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
