// A deep check compares a snapshot with the records before it: one that is sealed and pointed to, but says something else in any
// part, is named with what is not as the records say.

import { decodeBeside } from "../../src/durable/beside_tensor.ts";
import { besideSlices } from "../../src/durable/frozen_entries.ts";
import { Folder } from "../../src/durable/folder.ts";
import { besideOf } from "../../src/durable/image.ts";
import { openJournal, readSnapshotFile } from "../../src/durable/read_folder.ts";
import { decodePointer, encodePointer, snapshotFile } from "../../src/durable/pointer.ts";
import { nameSnapshot, writeSnapshot } from "../../src/durable/snapshot_writer.ts";
import { verifyFolder } from "../../src/durable/verify.ts";
import { settingsOfSnapshot } from "../../src/durable/settings.ts";
import type { SlotRows, Snapshot } from "../../src/store/snapshot.ts";
import type { RowsToWrite } from "../../src/store/snapshot_slices.ts";
import { liveFlags } from "../../src/write/frozen_rows.ts";
import { assertEquals } from "../../testing/assert.ts";

const RELEASED = new URL("folders/3/", import.meta.url);

function rowsOf({ slots, rows, positions }: SlotRows): RowsToWrite {
  const width = rows.length / slots.size;
  return {
    slots,
    live: liveFlags(slots),
    width,
    copyRow: (slot, target, offset) => target.set(rows.subarray(slot * width, (slot + 1) * width), offset),
    position: (slot) => positions[slot],
  };
}

/** Writes the newest snapshot anew after a change, with a pointer that knows its checksum. */
async function rewrite(path: string, change: (snapshot: Snapshot) => Snapshot): Promise<string> {
  const folder = new Folder(path), database = openJournal(folder, { readOnly: false });
  const pointer = decodePointer(database.pointers()[0]);
  const { snapshot } = await readSnapshotFile("test", folder, pointer);
  const { keys, queries, mask, sequence, metadata, origin, beside, ...rest } = change(snapshot);
  const kept = besideOf({ beside: beside ?? null }, pointer);
  const { checksum } = await writeSnapshot(folder, pointer.sequence, {
    settings: settingsOfSnapshot(rest),
    history: { sequence, metadata, origin },
    mask,
    keys: rowsOf(keys),
    queries: rowsOf(queries),
    beside: [kept.clients.freeze(), kept.besides.freeze()],
  });
  await nameSnapshot(folder, pointer.sequence);
  const older = database.pointers()[1];
  database.transact(() => {
    database.removePointersBefore(pointer.sequence + 1);
    database.addPointer(older);
    database.addPointer(encodePointer({ ...pointer, checksum }));
  });
  database.close();
  return snapshotFile(pointer.sequence);
}

/** A copy whose first live row, or first other number, is another one. */
function touched(rows: SlotRows, what: "rows" | "positions"): SlotRows {
  const slot = liveFlags(rows.slots).indexOf(1), width = rows[what].length / rows.slots.size;
  const numbers = rows[what].slice();
  numbers[slot * width] = what === "rows" ? numbers[slot * width] + 1 : numbers[slot * width] - 0.25;
  return { ...rows, [what]: numbers };
}

const CHANGES: readonly [string, (snapshot: Snapshot) => Snapshot, string | null][] = [
  ["nothing", (snapshot) => snapshot, null],
  ["a key", (snapshot) => ({ ...snapshot, keys: touched(snapshot.keys, "rows") }), "keys are not those"],
  [
    "a position",
    (snapshot) => ({ ...snapshot, keys: touched(snapshot.keys, "positions") }),
    "keys are not those",
  ],
  [
    "a query",
    (snapshot) => ({ ...snapshot, queries: touched(snapshot.queries, "rows") }),
    "queries are not those",
  ],
  [
    "an id",
    ({ queries: { slots, ...queries }, ...snapshot }) => {
      const { ids, next } = slots.ids as NonNullable<typeof slots.ids>;
      const others = ids.map((id) => id === null ? null : `${id}`);
      return { ...snapshot, queries: { ...queries, slots: { ...slots, ids: { ids: others, next } } } };
    },
    "queries are not those",
  ],
  [
    "an entry of the mask",
    (snapshot) => {
      if (snapshot.mask?.kind !== "matrix") throw new Error("the folder has a mask of matrices");
      const [{ data, ...matrix }] = snapshot.mask.matrices, numbers = data.slice();
      numbers[5] = numbers[5] === 3 ? 4 : 3;
      return { ...snapshot, mask: { ...snapshot.mask, matrices: [{ ...matrix, data: numbers }] } };
    },
    "mask is not that",
  ],
  ["the metadata", (snapshot) => ({ ...snapshot, metadata: { model: "another" } }), "metadata are not those"],
  ["the count of edits", (snapshot) => ({ ...snapshot, sequence: snapshot.sequence + 1 }), "edits, expected"],
  [
    "what is kept beside rows",
    (snapshot) => {
      const beside = (snapshot.beside as Uint8Array<ArrayBuffer>).slice();
      beside[beside.length - 1] ^= 1;
      return { ...snapshot, beside };
    },
    "what is kept beside rows",
  ],
  [
    "the calls of a client",
    (snapshot) => {
      const { besides, clients } = decodeBeside(snapshot.beside as Uint8Array<ArrayBuffer>);
      clients.note({ client: "another", number: 99 }, { sequence: 1, names: [] });
      const [beside] = besideSlices([clients.freeze(), besides.freeze()], Infinity);
      return { ...snapshot, beside };
    },
    "calls of clients",
  ],
];

for (const [what, change, expected] of CHANGES) {
  Deno.test(`a deep check of a snapshot that differs in ${what}`, async () => {
    const folder = await Deno.makeTempDir();
    for await (const { name } of Deno.readDir(RELEASED)) {
      await Deno.copyFile(new URL(name, RELEASED), `${folder}/${name}`);
    }
    // The older snapshot stays, from which records lead to the newer one.
    const name = await rewrite(folder, change);
    const { problems } = await verifyFolder("verify", new Folder(folder), { deep: true });
    const found = problems.map(({ file, what }) => [file, expected !== null && what.includes(expected)]);
    assertEquals(found, expected === null ? [] : [[name, true]], problems.map(({ what }) => what).join("; "));
    assertEquals(
      (await verifyFolder("verify", new Folder(folder))).problems,
      [],
      "without a deep one it is whole",
    );
    await Deno.remove(folder, { recursive: true });
  });
}
