// The journal of an engine beside a store that only remembers: a change that is refused leaves no frame, and what fails while a
// turn ends stops the journal in place of the process.

import { Besides } from "../../src/durable/besides.ts";
import { Clients } from "../../src/durable/clients.ts";
import { DurabilityError } from "../../src/durable/durability_error.ts";
import type { FrozenEngine } from "../../src/durable/frozen_engine.ts";
import { Journal, type JournalStore } from "../../src/durable/journal.ts";
import type { StoredBody } from "../../src/durable/journal_database.ts";
import { decodeRecord, HASH_BYTES } from "../../src/durable/record.ts";
import { SaidBias } from "../../src/durable/said_bias.ts";
import { assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";

function makeJournal(): {
  readonly journal: Journal;
  readonly records: StoredBody[];
  readonly said: SaidBias;
} {
  const records: StoredBody[] = [], said = new SaidBias(1);
  const store = {
    database: { transact: (write: () => void) => write(), addRecord: (row: StoredBody) => records.push(row) },
    head: { write: () => {} },
  } as unknown as JournalStore;
  const journal = new Journal({
    folder: "memory",
    store,
    place: { sequence: 0, hash: new Uint8Array(HASH_BYTES) },
    clients: new Clients(),
    said,
    besides: new Besides(),
    ids: { keys: false, queries: false },
  });
  return { journal, records, said };
}

function fail(): never {
  throw new RangeError("no memory");
}

Deno.test("a change of the mask that cannot be kept for a snapshot leaves no frame", async () => {
  const { journal, records } = makeJournal();
  journal.frozen = { keepMaskBefore: fail } as unknown as FrozenEngine;
  const slots = Uint32Array.of(0), block = Float32Array.of(1);
  assertThrows(
    () => journal.noteMask("test", { queries: slots, keys: slots, heads: [0], block }),
    RangeError,
  );
  journal.commit();
  await journal.kept();
  assertEquals([journal.sequence, records.length], [0, 0]);
  journal.frozen = null;
  journal.noteMask("test", { queries: slots, keys: slots, heads: [0], block });
  await journal.kept();
  assertEquals([journal.sequence, records.length], [1, 1]);
});

Deno.test("what a mask function said and cannot be written stops the journal, and is told", async () => {
  const { journal, records } = makeJournal();
  journal.noteMetadata("test", 1);
  const float32 = Float32Array.from;
  journal.noteSaid(0, 0, 0, 1);
  Float32Array.from = fail;
  try {
    await assertRejects(() => journal.kept(), DurabilityError, "no memory");
  } finally {
    Float32Array.from = float32;
  }
  assertEquals(records.length, 0);
  assertThrows(() => journal.noteMetadata("test", 1), DurabilityError, "edits 1 to 0 are on disk");
});

Deno.test("records follow each other, of all edits of a turn", async () => {
  const { journal, records } = makeJournal();
  for (let turn = 0; turn < 3; turn++) {
    journal.noteMetadata("test", turn);
    journal.keep("test", "name", Uint8Array.of(turn));
    await journal.kept();
  }
  const ends = records.map(({ body }) => {
    const record = decodeRecord(new Uint8Array(body));
    return typeof record === "string" ? record : [record.first, record.last];
  });
  assertEquals(ends, [[1, 2], [3, 4], [5, 6]]);
});
