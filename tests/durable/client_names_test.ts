// Clients are who they say they are, whatever letters their names have: no two of them are taken for one, and none is forgotten.

import { openDurable } from "../../src/durable/mod.ts";
import { InputError } from "../../mod.ts";
import { assertEquals, assertRejects } from "../../testing/assert.ts";

const CREATE = { query: [[1]], key: [[1]], value: [[1]], backend: "array" } as const;
const INSERT = [{ kind: "insert", key: [1], value: [2] }] as const;

const NAMES = [
  "a",
  "\ufeffa",
  "a\ufeff",
  "\ufffd",
  "\0",
  "a\0",
  " a",
  "é",
  "e\u0301",
  "__proto__",
  "😀",
  "x".repeat(256),
  "\u{10ffff}".repeat(128),
];

Deno.test("each client is known by its name after the folder was opened anew", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  for (const isCompact of [false, true, true]) {
    await using live = await openDurable(folder, { create: CREATE });
    for (const [at, client] of NAMES.entries()) {
      const number = at + 1;
      assertEquals(await live.edit(INSERT, { client, clientSequence: number }), {
        slots: [number],
        sequence: number,
      });
      assertEquals(live.lastClientSequence(client), number, JSON.stringify(client));
    }
    assertEquals([live.stats().keyCount, live.stats().durable.clients], [NAMES.length + 1, NAMES.length]);
    if (isCompact) await live.snapshot();
  }
  await Deno.remove(base, { recursive: true });
});

Deno.test("a name that UTF-8 cannot hold is refused", async () => {
  const base = await Deno.makeTempDir(), folder = `${base}/memory`;
  for (const client of ["\ud800", "a\udc00b", "\udfff\ud800"]) {
    await assertRejects(() => openDurable(folder, { create: CREATE, client }), InputError, "client is");
    await using live = await openDurable(folder, { create: CREATE });
    await assertRejects(() => live.edit(INSERT, { client, clientSequence: 1 }), InputError, "client is");
    assertEquals(live.stats().durable.sequence, 0);
  }
  await Deno.remove(base, { recursive: true });
});
