/**
 * Looks at the journal of a folder without owning it.
 */

import type { Folder } from "./folder.ts";
import { JOURNAL_FILE, type JournalDatabase, sqliteFault } from "./journal_database.ts";
import { openJournal, orDamage } from "./read_folder.ts";

/** SQLite's codes for a file that it cannot open, and for one that it would have to write. */
const CANNOT_OPEN = 14, READ_ONLY = 8;

/**
 * Runs `look` on a connection of its own. Where the folder lies on something that is read-only, SQLite cannot make the index
 * of a write-ahead log that was left; then a copy of the journal is looked at.
 */
export async function openToLook<T>(
  folder: Folder,
  look: (database: JournalDatabase) => Promise<T>,
): Promise<T> {
  try {
    return await lookAt(folder, look);
  } catch (error) {
    const code = (sqliteFault(error)?.code ?? 0) & 255;
    if (code !== CANNOT_OPEN && code !== READ_ONLY) return await orDamage(() => Promise.reject(error));
  }
  const copy = await Deno.makeTempDir();
  try {
    for (const name of [JOURNAL_FILE, `${JOURNAL_FILE}-wal`]) {
      if (folder.has(name)) await Deno.copyFile(folder.file(name), `${copy}/${name}`);
    }
    for (const name of [JOURNAL_FILE, `${JOURNAL_FILE}-wal`]) {
      await Deno.chmod(`${copy}/${name}`, 0o600).catch(() => {});
    }
    return await orDamage(() => lookAt(folder, look, copy));
  } finally {
    await Deno.remove(copy, { recursive: true });
  }
}

async function lookAt<T>(
  folder: Folder,
  look: (database: JournalDatabase) => Promise<T>,
  path?: string,
): Promise<T> {
  const database = openJournal(folder, { readOnly: path === undefined }, path);
  try {
    return await look(database);
  } finally {
    database.close();
  }
}
