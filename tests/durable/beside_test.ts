// What a snapshot holds beside rows is that of its moment, however much is noted while it is written, and takes as many bytes as
// were announced. It is written in parts: no client is in a row of the database.

import { decodeBeside } from "../../src/durable/beside_tensor.ts";
import { besideBytes, besideSlices } from "../../src/durable/frozen_entries.ts";
import { Besides } from "../../src/durable/besides.ts";
import { ANSWERS_KEPT, Clients } from "../../src/durable/clients.ts";
import { openDurable } from "../../src/durable/mod.ts";
import type { RowId } from "../../mod.ts";
import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertLess } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";

const NAMES = ["a", "née", "😀 of many letters", "client a", "", "learner", "key 7"];

/** All that is known of clients, in words. */
function told(clients: Clients): string[] {
  return NAMES.flatMap((client) => {
    const last = clients.lastOf(client), answers = [];
    for (let number = Math.max(1, last - 2 * ANSWERS_KEPT); number <= last + 1; number++) {
      answers.push(clients.answerTo({ client, number }));
    }
    const text = (_: string, value: unknown) => typeof value === "bigint" ? `${value}n` : value;
    return [`${client} ${last} ${JSON.stringify(answers, text)}`];
  });
}

function someNames(random: Random): RowId[] {
  const ids: RowId[] = [0, 7, 2 ** 32 - 1, 2 ** 32, -1, 0.5, "x", "\ud800", "née", 5n, -(2n ** 80n)];
  const isOfSlots = random.below(2) === 0;
  return Array.from({ length: random.below(5) }, () => isOfSlots ? random.below(1000) : random.pick(ids));
}

Deno.test("what is frozen beside rows stays as it was, and takes the bytes that it says", () => {
  for (let seed = 1; seed <= (IS_LONG ? 2000 : 60); seed++) {
    const random = new Random(seed), clients = new Clients(), besides = new Besides();
    const numbers = new Map<string, number>();
    let sequence = 0;
    const change = () => {
      for (let left = random.below(seed % 7 === 0 ? 2000 : 30); left > 0; left--) {
        const client = random.pick(NAMES), number = (numbers.get(client) ?? 0) + 1 + random.below(2);
        numbers.set(client, number);
        clients.note({ client, number }, { sequence: ++sequence, names: someNames(random) });
        const name = `key ${random.below(9)}`;
        if (random.below(3) === 0) besides.delete(name);
        else besides.set(name, Uint8Array.from({ length: random.below(9) }, () => random.below(256)));
      }
    };
    for (let moment = 0; moment < 3; moment++) {
      change();
      const parts = [clients.freeze(), besides.freeze()], expected = told(clients), kept = [...besides];
      const bytes: number[] = [];
      for (const slice of besideSlices(parts, random.pick([1, 40, 1e6]))) {
        change();
        for (const byte of slice) bytes.push(byte);
      }
      if (parts.some(({ names }) => names.length > 0)) assertEquals(bytes.length, besideBytes(parts));
      const found = decodeBeside(Uint8Array.from(bytes));
      assertEquals(told(found.clients), expected, `seed ${seed}`);
      assertEquals([...found.besides], kept);
      // Read back they take as many bytes.
      assertEquals(besideBytes([found.clients.freeze(), found.besides.freeze()]), besideBytes(parts));
    }
  }
});

Deno.test("many clients with many answers are in the file of a snapshot, in no row of the database", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  const create = { query: [[1]], key: [[1]], value: [[1]], backend: "array" } as const;
  const clients = Array.from({ length: 40 }, (_, at) => `client ${at}`), calls = ANSWERS_KEPT + 4;
  {
    await using live = await openDurable(folder, { create });
    for (let clientSequence = 1; clientSequence <= calls; clientSequence++) {
      for (const client of clients) {
        live.edit([{ kind: "setValue", slot: 0, value: [clientSequence] }], { client, clientSequence });
      }
    }
    await live.snapshot();
    const { snapshot } = live.stats().durable;
    assertLess(clients.length * ANSWERS_KEPT * 16, snapshot.bytes);
  }
  const database = new DatabaseSync(`${folder}/journal.db`, { readOnly: true });
  const rows = database.prepare("SELECT length(body) AS size FROM snapshot").all();
  database.close();
  assert(rows.every(({ size }) => Number(size) <= 80), JSON.stringify(rows));
  await using live = await openDurable(folder, { create });
  assertEquals(live.stats().durable.replayed, 0);
  for (const client of clients) {
    const answer = await live.edit([], { client, clientSequence: calls });
    assertEquals([live.lastClientSequence(client), answer.slots], [calls, [0]]);
  }
  await Deno.remove(base, { recursive: true });
});

Deno.test("a shift of positions takes as many bytes of journal however many rows it moves", async () => {
  const base = await Deno.makeTempDir(), bytes: number[] = [];
  for (const rows of [1, 500]) {
    const key = Array.from({ length: rows }, () => [1]);
    const create = { query: [[1]], key, value: key, causal: true, backend: "array" } as const;
    await using live = await openDurable(`${base}/${rows}`, { create });
    assertEquals(live.shiftPositions(4), rows + 1);
    assertEquals(live.shiftPositions(1.5, { from: 4, to: 6 }), Math.min(rows, 2) + 1);
    await live.committed();
    bytes.push(live.stats().durable.journalBytes);
    assertEquals(live.stats().durable.sequence, 2);
  }
  assertEquals(bytes[0], bytes[1]);
  await Deno.remove(base, { recursive: true });
});
