// Bytes that come from elsewhere: what was written is read again, and anything else is damage, never another
// error and never more memory than there are bytes.

import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { decodeBatch, encodeBatch, NO_HASH } from "../../src/cluster/batch.ts";
import { Damage } from "../../src/cluster/cluster_error.ts";
import { toConfig } from "../../src/cluster/cluster_config.ts";
import {
  decodeHeavy,
  decodeReply,
  decodeRequest,
  decodeRows,
  decodeStatePiece,
  decodeStates,
  encodeHeavy,
  encodeReply,
  encodeRequest,
  encodeRows,
  encodeStatePiece,
  type HostRequest,
  type PartitionReply,
} from "../../src/cluster/messages.ts";
import { decodeReport, encodeReport, hostKey, type HostReport } from "../../src/cluster/members.ts";
import { Partition } from "../../src/cluster/partition.ts";
import { decodePlan, isSamePlan, nextPlan, type Plan } from "../../src/cluster/plan.ts";
import { decodeSnapshot, encodeSnapshot } from "../../src/cluster/snapshot.ts";

const config = toConfig("test", { dim: 2, valueDim: 1, partitions: 3 }, "c");
const of = { config, kind: "keys", partition: 1 } as const;

function request(random: Random): HostRequest {
  const ids = Array.from({ length: random.below(4) }, () => "id ä".repeat(random.below(3) + 1));
  const question = random.pick<HostRequest["question"]>([
    { kind: "read", ids },
    { kind: "rows", ids },
    { kind: "queries", ids },
    { kind: "attend", rows: random.row(2 * random.below(4)) },
    { kind: "attend", rows: random.row(4), placed: { positions: Float64Array.of(0.5, -3), maskOf: "q" } },
    { kind: "top", id: "q", head: 0, count: random.below(9), skip: 2, sequence: 7, room: 99 },
    { kind: "state", sequence: 5, from: 9, room: 2 ** 20 },
    { kind: "drift", ids, since: Float64Array.from(ids.flatMap(() => [1, 2, 3])) },
  ]);
  const partitions = Array.from(
    { length: random.below(4) },
    (_, partition) => ({ partition, sequence: random.below(99) }),
  );
  return { question, waitMs: random.below(1000), querySequence: random.below(50), partitions };
}

function replies(random: Random): PartitionReply[] {
  return Array.from({ length: random.below(4) }, (_, partition): PartitionReply => {
    if (random.next() < 0.3) {
      return { status: random.pick(["late", "damaged", "absent"]), partition, why: "so it is" };
    }
    const answer = new Uint8Array(Float64Array.from(random.row(random.below(5))).buffer);
    return {
      ...{ status: "ok", partition, sequence: 7, chain: NO_HASH, querySequence: 3, age: 1.5, keys: 4 },
      ...{ keyNorm: 2, valueNorm: 3, answer },
    };
  });
}

function partitionOfRows(random: Random): Partition {
  const partition = new Partition(config.scoring), count = 1 + random.below(5);
  const edits = Array.from({ length: count }, (_, at) => ({ id: `k${at}`, row: random.row(3) }));
  partition.apply({
    sequence: 9,
    body: encodeBatch({ kind: "keys", client: "c", number: 1, known: 0, previous: NO_HASH, edits }),
  });
  return partition;
}

Deno.test("cluster: messages are read as they were written", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed), asked = request(random), answered = replies(random);
    assertEquals(decodeRequest(encodeRequest(asked)), asked);
    assertEquals(decodeReply(encodeReply(answered)), answered);
    const rows = [{ row: random.row(3) }, null, { row: random.row(3) }];
    assertEquals(decodeRows(encodeRows(rows), 3, 3), rows);
    const placed = rows.map((one) => one && { ...one, position: random.below(9) - 4.5 });
    assertEquals(decodeRows(encodeRows(placed), 3, 3, true), placed);
    assertThrows(() => decodeRows(encodeRows(placed), 3, 3), Damage);
    assertThrows(() => decodeRows(encodeRows(rows), 3, 3, true), Damage);
    const piece = { sequence: 4, length: 99, from: 8, bytes: Uint8Array.of(1, 2, 3) };
    assertEquals(decodeStatePiece(encodeStatePiece(piece)), piece);
    const heavy = {
      ...{ version: 3, sequence: 9, shift: -8, mass: 0.5, before: 1, behind: 2 },
      keys: [{ id: "a", mass: 0.25 }],
    };
    assertEquals(decodeHeavy(encodeHeavy(heavy)), heavy);
  }
});

Deno.test("cluster: a snapshot of a snapshot has the same bytes", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const bytes = encodeSnapshot(of, partitionOfRows(new Random(seed)));
    assertEquals(encodeSnapshot(of, decodeSnapshot(of, bytes)), bytes);
  }
  const bytes = encodeSnapshot(of, partitionOfRows(new Random(1)));
  assertThrows(() => decodeSnapshot({ ...of, partition: 2 }, bytes), Damage);
  assertThrows(() => decodeSnapshot({ ...of, kind: "queries" }, bytes), Damage);
  assertThrows(() => decodeSnapshot({ ...of, config: { ...config, cluster: "d" } }, bytes), Damage);
});

Deno.test("cluster: bytes that are altered, cut off or made longer are damage or something of the same form", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = new Random(seed);
    const { body, snapshot } = {
      body: encodeBatch({
        ...{ kind: "keys", client: "c", number: 1, known: 0, previous: NO_HASH },
        edits: [{ id: "a", row: random.row(3) }, { id: "b", row: null }],
      }),
      snapshot: encodeSnapshot(of, partitionOfRows(random)),
    };
    const forms: readonly [Uint8Array<ArrayBuffer>, (bytes: Uint8Array<ArrayBuffer>) => unknown, boolean][] =
      [
        [encodeRequest(request(random)), decodeRequest, false],
        [encodeReply(replies(random)), decodeReply, false],
        [
          encodeStatePiece({ sequence: 4, length: 99, from: 8, bytes: new Uint8Array(9) }),
          decodeStatePiece,
          false,
        ],
        [encodeRows([{ row: random.row(3) }, null]), (bytes) => decodeRows(bytes, 2, 3), false],
        [
          encodeHeavy({
            ...{ version: 1, sequence: 1, shift: 0, mass: 1, before: 0, behind: 0 },
            keys: [{ id: "a", mass: 1 }],
          }),
          decodeHeavy,
          false,
        ],
        [
          new Uint8Array(Float64Array.from(random.row(8)).buffer),
          (bytes) => decodeStates(bytes, 1, 6),
          false,
        ],
        [body, (bytes) => decodeBatch(bytes, "keys", 3), true],
        [snapshot, (bytes) => decodeSnapshot(of, bytes), true],
      ];
    for (const [bytes, decode, isSealed] of forms) {
      decode(bytes);
      const flipped = bytes.slice();
      flipped[random.below(flipped.length)] ^= 1 << random.below(8);
      const huge = bytes.slice();
      huge.fill(255, random.below(huge.length));
      for (
        const altered of [
          flipped,
          huge,
          bytes.slice(0, random.below(bytes.length)),
          Uint8Array.of(...bytes, 0),
        ]
      ) {
        let isRead = false;
        try {
          decode(altered);
          isRead = true;
        } catch (error) {
          assert(error instanceof Damage, `${error}`);
        }
        assert(
          !isRead || !isSealed || altered.every((byte, at) => byte === bytes[at]),
          "what is sealed is damaged",
        );
      }
    }
  }
});

Deno.test("cluster: a heartbeat is read as it was written, or not at all", () => {
  const report: HostReport = {
    ...{ name: "h", takesAny: true, isLeaving: false, beat: 4 },
    queries: { phase: "ready", sequence: 3, chain: "ab".repeat(16), keys: 1, bytes: 0, tail: 3 },
    partitions: new Map([[2, {
      phase: "loading",
      sequence: 9,
      chain: "cd".repeat(16),
      keys: 5,
      bytes: 60,
      tail: 0,
    }]]),
  };
  const value = encodeReport(report), key = hostKey("h"), revision = 1;
  assertEquals(decodeReport({ key, value, revision }), report);
  assertEquals(decodeReport({ key: hostKey("other"), value, revision }), null);
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed), altered = value.slice();
    altered[random.below(value.length)] ^= 1 << random.below(8);
    for (const bytes of [altered, value.slice(0, random.below(value.length)), Uint8Array.of(...value, 0)]) {
      const found = decodeReport({ key, value: bytes, revision });
      if (found === null) continue;
      assertEquals(found.name, "h");
      for (const { sequence, keys, bytes } of [found.queries, ...found.partitions.values()]) {
        assert([sequence, keys, bytes].every((number) => Number.isSafeInteger(number) && number >= 0));
      }
    }
  }
  for (const text of ["", "null", "[]", "{}"]) {
    assertEquals(decodeReport({ key, value: new TextEncoder().encode(text), revision }), null);
  }
});

Deno.test("cluster: a plan gives each partition to as many hosts as there may be, evenly, and moves little", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new Random(seed), partitions = 1 + random.below(40), replicas = 1 + random.below(3);
    let plan: Plan = decodePlan("test", null, partitions), hosts: string[] = [];
    for (let step = 0; step < 8; step++) {
      const before = plan, had = new Set(hosts);
      hosts = Array.from({ length: random.below(7) }, () => `h${random.below(8)}`);
      hosts = [...new Set(hosts)].sort();
      plan = nextPlan(plan, hosts, replicas);
      const wanted = Math.min(replicas, hosts.length), load = new Map(hosts.map((name) => [name, 0]));
      for (const owners of plan.owners) {
        assertEquals(new Set(owners).size, wanted);
        assertEquals(owners.length, wanted);
        for (const name of owners) load.set(name, (load.get(name) ?? NaN) + 1);
      }
      const loads = [...load.values()];
      if (loads.length > 0) assert(Math.max(...loads) - Math.min(...loads) <= 1, `loads are ${loads}`);
      assert(isSamePlan(nextPlan(plan, hosts, replicas), plan), "a plan that is right stays");
      if (hosts.length > 0 && hosts.length === had.size && hosts.every((name) => had.has(name))) {
        assert(isSamePlan(plan, before));
      }
    }
  }
});

Deno.test("cluster: a record with a number that no client writes is damage", () => {
  const head = { client: "c", number: 1, known: 0, previous: NO_HASH };
  for (const kind of ["keys", "queries"] as const) {
    for (const bad of [NaN, Infinity, -Infinity]) {
      const edits = [{ id: "a", row: Float32Array.of(1, bad, 2) }];
      assertThrows(
        () => decodeBatch(encodeBatch({ ...head, kind, edits }), kind, 3),
        Damage,
        `row has ${bad}`,
      );
    }
  }
});
