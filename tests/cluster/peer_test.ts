// A host that takes a partition over gets its state from a host that has it: in pieces that fit, with the same
// bits, without the records; and from the log where no host gives one, or gives a wrong one.

import { assert, assertEquals, assertLess } from "../../testing/assert.ts";
import { narrowLog } from "../../testing/cluster/narrow_log.ts";
import { Random } from "../../testing/random.ts";
import {
  type ClusterHost,
  type ClusterLog,
  type ClusterMemory,
  connect,
  host,
} from "../../src/cluster/mod.ts";
import { decodeRequest, decodeStatePiece, type StatePiece } from "../../src/cluster/messages.ts";
import { decodeReply, encodeReply, encodeStatePiece } from "../../src/cluster/messages.ts";
import { StateCopies } from "../../src/cluster/state_copies.ts";

const NARROW = 512 << 10;

/** Counts the records that sessions of hosts are given, and alters replies to questions for states. */
function watchedLog(inner: ClusterLog, alter: (piece: StatePiece) => StatePiece | null = (piece) => piece) {
  const seen = { records: 0, pieces: 0 };
  const log: ClusterLog = {
    ...inner,
    open: async (role) => {
      const session = await inner.open(role);
      const follow = session.follow.bind(session), request = session.request.bind(session);
      session.follow = async function* (subject, after, options) {
        for await (const records of follow(subject, after, options)) {
          if (subject !== "query") seen.records += records.length;
          yield records;
        }
      };
      session.request = async (address, body, options) => {
        const reply = await request(address, body, options);
        if (decodeRequest(body.slice()).question.kind !== "state") return reply;
        seen.pieces++;
        return encodeReply(
          decodeReply(new Uint8Array(reply)).map((one) => {
            if (one.status !== "ok") return one;
            const piece = alter(decodeStatePiece(one.answer));
            return piece === null
              ? { status: "late", partition: one.partition, why: "a test" } as const
              : { ...one, answer: encodeStatePiece(piece) };
          }),
        );
      };
      return session;
    },
  };
  return { log, seen };
}

async function whenReady(memory: ClusterMemory, one: ClusterHost): Promise<void> {
  while (!memory.status().partitions.every(({ ready }) => ready.includes(one.name))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Sets keys several times, so that the records are several times as many bytes as the rows. */
async function fill(memory: ClusterMemory, keys: number, times = 4): Promise<void> {
  const random = new Random(1), told = new Map<number, number>();
  for (const size of [3, 2, 2, 1].slice(4 - times)) {
    const { partitions } = await memory.edit(Array.from({ length: keys }, (_, at) => {
      return { kind: "set", id: `k${at}`, key: random.row(64, size), value: random.row(64, size) };
    }));
    for (const [partition, sequence] of Object.entries(partitions)) told.set(Number(partition), sequence);
  }
  await memory.setQuery("q", random.row(64));
  // Hosts decide by heartbeats.
  const isTold = () =>
    memory.status().partitions.every(({ partition, sequence }) => sequence >= (told.get(partition) ?? 0));
  while (!isTold()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const keysOf = (one: ClusterHost) => one.status().partitions.map(({ sequence, keys }) => [sequence, keys]);

const CREATE = { dim: 64, valueDim: 64, partitions: 2, replicas: 2 };

Deno.test("cluster: a host gets the state of a host that is there, in pieces that fit, and not its records", async () => {
  const { log: narrow, traffic } = narrowLog(NARROW), { log, seen } = watchedLog(narrow);
  const first = await host(narrow);
  await using memory = await connect(narrow, { create: CREATE });
  await fill(memory, 2400);
  const before = await memory.read(["q"]);
  const second = await host(log);
  await whenReady(memory, second);
  // 2,400 rows of 512 bytes and their ids are some 1.3 MB.
  assert(seen.pieces >= 3 && seen.pieces <= 5, `${seen.pieces} pieces`);
  assertEquals(seen.records, 0);
  assertEquals(traffic.largest <= NARROW, true);
  assertEquals(keysOf(second), keysOf(first));
  await first.dispose();
  const after = await memory.read(["q"], { timeoutMs: 10_000 });
  assertEquals([after.output.data, after.bounds], [before.output.data, before.bounds]);
  await memory.edit([{ kind: "delete", id: "k1" }]);
  assertEquals(await memory.getKeys(["k1"]), [null]);
  await second.dispose();
});

Deno.test("cluster: a state that is refused, cut, altered or of other pieces is not used, and the records are", async () => {
  const alterations: readonly ((piece: StatePiece) => StatePiece | null)[] = [
    () => null,
    (piece) => ({ ...piece, bytes: piece.bytes.map((byte, at) => at === 300 ? byte ^ 1 : byte) }),
    (piece) => ({ ...piece, length: piece.length - 1 }),
    (piece) => ({ ...piece, length: 2 ** 32 - 1 }),
    (piece) => ({ ...piece, from: piece.from + 4 }),
    (piece) => ({ ...piece, bytes: new Uint8Array(0) }),
    (piece) => ({ ...piece, sequence: piece.sequence + Math.random() }),
  ];
  const { log: narrow } = narrowLog(NARROW);
  await using first = await host(narrow);
  await using memory = await connect(narrow, { create: CREATE });
  await fill(memory, 2400);
  await memory.read(["q"]);
  for (const [at, alter] of alterations.entries()) {
    const { log, seen } = watchedLog(narrow, alter);
    await using second = await host(log);
    await whenReady(memory, second);
    assert(seen.pieces > 0 && seen.records > 0, `alteration ${at}`);
    assertEquals(keysOf(second), keysOf(first));
  }
});

Deno.test("cluster: a host reads the records where they are not much more than the state", async () => {
  const { log: narrow } = narrowLog(NARROW), { log, seen } = watchedLog(narrow);
  await using first = await host(narrow);
  await using memory = await connect(narrow, { create: CREATE });
  await fill(memory, 300, 2);
  await memory.read(["q"]);
  await using second = await host(log);
  await whenReady(memory, second);
  assertEquals(seen.pieces, 0);
  assert(seen.records > 0);
  assertEquals(keysOf(second), keysOf(first));
});

Deno.test("cluster: pieces of a copy are of one snapshot, and copies are forgotten", () => {
  const copies = new StateCopies(), question = { kind: "state", sequence: 0, from: 0, room: 4 } as const;
  let made = 0;
  const at = (sequence: number) => ({
    sequence,
    make: () => {
      made++;
      return new Uint8Array(10).fill(sequence);
    },
  });
  const first = copies.piece(1, question, 0, at(7));
  assertEquals(first, { sequence: 7, length: 10, from: 0, bytes: new Uint8Array(4).fill(7) });
  // The partition has gone on, and the copy has not.
  const second = copies.piece(1, { ...question, sequence: 7, from: 4 }, 1000, at(8));
  assertEquals([second.sequence, second.from, second.bytes], [7, 4, new Uint8Array(4).fill(7)]);
  assertEquals(copies.piece(1, { ...question, sequence: 7, from: 8 }, 2000, at(9)).bytes.length, 2);
  assertEquals(made, 1);
  // It was given as a whole, so that it is made anew, of the state of then.
  assertEquals(copies.piece(1, { ...question, sequence: 7, from: 8 }, 3000, at(9)).from, 0);
  assertEquals(made, 2);
  copies.piece(1, { ...question, sequence: 9, from: 4 }, 12_000, at(10));
  assertEquals(made, 2);
  copies.piece(1, { ...question, sequence: 9, from: 4 }, 30_000, at(10));
  assertEquals(made, 3);
  for (const partition of [2, 3]) copies.piece(partition, question, 30_000, at(5));
  assertEquals(copies.piece(1, { ...question, sequence: 10, from: 4 }, 30_001, at(11)).sequence, 11);
  assertLess(made, 7);
});
