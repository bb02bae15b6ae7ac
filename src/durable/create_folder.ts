/**
 * Makes the files of a new durable folder: the snapshot of what it begins with, then the journal that points to it, then the
 * witness. A process that is killed in between leaves a folder that is made anew.
 */

import type { EngineProblem } from "../engine/options.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import type { SavedMask } from "../store/snapshot.ts";
import { settingsOf, toMatrixMask } from "./settings.ts";
import { SlotTable } from "../write/slot_table.ts";
import { Damage } from "./durability_error.ts";
import type { Folder } from "./folder.ts";
import { HEAD_FILE, HeadFile, readHead } from "./head_file.ts";
import { JOURNAL_FILE, JournalDatabase, type SyncMode } from "./journal_database.ts";
import { encodePointer, snapshotFile } from "./pointer.ts";
import { HASH_BYTES } from "./record.ts";
import type { RowsToWrite } from "../store/snapshot_slices.ts";
import { nameSnapshot, writeSnapshot } from "./snapshot_writer.ts";

/**
 * Whether a folder that is one's own holds no engine, so that one may be made in it: it has no journal, or one that was not finished, which has
 * no record and no witness.
 *
 * @throws {Damage} When it has no journal, but what only a finished one leaves behind.
 */
export function isUnmade(folder: Folder): boolean {
  if (readHead(folder.file(HEAD_FILE)) === null && isUnfinished(folder)) {
    const later = folder.snapshots().find((sequence) => sequence > 0);
    if (later === undefined) return true;
    throw new Damage(
      JOURNAL_FILE,
      null,
      `file is missing or empty beside ${snapshotFile(later)}, ${EXPECTED}`,
    );
  }
  if (folder.has(JOURNAL_FILE) && Deno.statSync(folder.file(JOURNAL_FILE)).size > 0) return false;
  throw new Damage(JOURNAL_FILE, null, `file is missing or empty beside ${HEAD_FILE}, ${EXPECTED}`);
}

const EXPECTED = "expected a journal";

/** Whether nothing was ever committed to the journal but the first pointer. */
function isUnfinished(folder: Folder): boolean {
  if (!folder.has(JOURNAL_FILE) || Deno.statSync(folder.file(JOURNAL_FILE)).size === 0) return true;
  // It is opened for writing, since SQLite may have to roll back an unfinished transaction.
  const database = new JournalDatabase(folder.file(JOURNAL_FILE), { readOnly: false });
  try {
    const { kind } = database.identify();
    if (kind !== "journal") return kind === "empty";
    const pointers = database.pointers();
    return pointers.length === 1 && pointers[0].sequence === 0 && database.recordsAfter(0, 1).length === 0;
  } finally {
    database.close();
  }
}

/** Makes a folder of an engine's options. */
export async function createFolder(folder: Folder, problem: EngineProblem, sync: SyncMode): Promise<void> {
  for (const name of folder.names()) {
    if (name.startsWith(`${JOURNAL_FILE}`) || name.endsWith(".tmp")) folder.remove(name);
  }
  const keySlots = new SlotTable(problem.keyPositions, problem.keyIds);
  const querySlots = new SlotTable(problem.queryPositions, problem.queryIds);
  problem.mask?.speakOf(keySlots, querySlots);
  const { checksum } = await writeSnapshot(folder, 0, {
    settings: settingsOf(problem),
    history: { sequence: 0, metadata: undefined, origin: 0 },
    mask: maskOf(problem),
    keys: keysOf(problem, keySlots),
    errors: problem.errors?.save(keySlots.size) ?? null,
    queries: queriesOf(problem, querySlots),
    beside: [],
  });
  await nameSnapshot(folder, 0);
  // The new journal has a number of its own, so that records of another one are never taken for its records.
  const hash = crypto.getRandomValues(new Uint8Array(HASH_BYTES));
  const database = new JournalDatabase(folder.file(JOURNAL_FILE), { readOnly: false, sync: "full" });
  try {
    database.create(encodePointer({ sequence: 0, hash, checksum }));
    database.checkpoint();
  } finally {
    database.close();
  }
  const head = HeadFile.open(folder.file(HEAD_FILE), sync);
  try {
    // Both slots.
    for (let slot = 0; slot < 2; slot++) head.write({ sequence: 0, hash });
    head.sync();
  } finally {
    head.close();
  }
  await folder.sync();
}

function keysOf({ key, value, keyPositions, layout }: EngineProblem, slots: SlotTable): RowsToWrite {
  const keyWidth = keyColumns(layout), valueWidth = valueColumns(layout);
  return rowsOf(slots, keyPositions, keyWidth + valueWidth, (slot, target, offset) => {
    target.set(key.data.subarray(slot * keyWidth, (slot + 1) * keyWidth), offset);
    target.set(value.data.subarray(slot * valueWidth, (slot + 1) * valueWidth), offset + keyWidth);
  });
}

function queriesOf({ query, queryPositions, layout }: EngineProblem, slots: SlotTable): RowsToWrite {
  const width = queryColumns(layout);
  return rowsOf(slots, queryPositions, width, (slot, target, offset) => {
    target.set(query.data.subarray(slot * width, (slot + 1) * width), offset);
  });
}

function rowsOf(
  slots: SlotTable,
  positions: Float64Array,
  width: number,
  copyRow: RowsToWrite["copyRow"],
): RowsToWrite {
  return {
    slots: slots.save(),
    live: new Uint8Array(positions.length).fill(1),
    width,
    copyRow,
    position: (slot) => positions[slot],
  };
}

/** A mask as a snapshot holds it; a function is asked about all pairs. */
function maskOf({ mask, layout: { heads }, keyPositions, queryPositions }: EngineProblem): SavedMask | null {
  if (!mask) return null;
  if (!mask.isFunction) return toMatrixMask(mask);
  const bias = new Float32Array(keyPositions.length * queryPositions.length * heads);
  for (let key = 0, at = 0; key < keyPositions.length; key++) {
    for (let query = 0; query < queryPositions.length; query++) {
      for (let head = 0; head < heads; head++, at++) bias[at] = mask.bias(query, key, head);
    }
  }
  return { kind: "function", bias };
}
