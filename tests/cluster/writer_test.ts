// The way of edits to the log: what is sent again, what is given up, what ends a connection, and what a
// subject remembers.

import { assert, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";
import { type Batch, decodeBatch, editBytes, encodeBatch, hashOf, NO_HASH } from "../../src/cluster/batch.ts";
import { Changes } from "../../src/cluster/changes.ts";
import { systemClock } from "../../src/cluster/clock.ts";
import { Damage } from "../../src/cluster/cluster_error.ts";
import {
  ClusterError,
  type ClusterFault,
  type ClusterLog,
  connect,
  LogError,
  type LogSession,
  memoryLog,
} from "../../src/cluster/mod.ts";
import { partitionOf } from "../../src/cluster/cluster_config.ts";
import { Partition } from "../../src/cluster/partition.ts";
import { EditLine } from "../../src/cluster/edit_line.ts";
import { Ledger } from "../../src/cluster/ledger.ts";
import { SubjectWriter } from "../../src/cluster/subject_writer.ts";

type Append = LogSession["append"];

/** A session whose appends go through `append`, which is given the real one. */
async function sessionWith(append: (real: Append) => Append): Promise<LogSession> {
  const session = await memoryLog().open("client"), real = session.append.bind(session);
  session.append = append(real);
  return session;
}

function writerOf(session: LogSession): SubjectWriter {
  return new SubjectWriter({
    ...{
      session,
      clock: systemClock,
      client: "c",
      subject: "log.0",
      kind: "keys",
      partition: 0,
      known: () => 0,
    },
  });
}

const edit = (number: number) => ({ id: "a", row: Float32Array.of(number) });
const soon = () => performance.now() + 150;
const later = () => performance.now() + 60_000;

/** Numbers and edits of the records of the subject. */
async function records(session: LogSession): Promise<[number, number][]> {
  const end = new AbortController();
  for await (const found of session.follow("log.0", 0, { signal: end.signal })) {
    return found.map(({ body }) => {
      const { number, edits } = decodeBatch(body, "keys", 1);
      return [number, edits[edits.length - 1].row?.[0] ?? NaN];
    });
  }
  return [];
}

Deno.test("cluster: a batch whose acknowledgement is lost is sent again with the same bytes", async () => {
  const bodies: Uint8Array[] = [];
  const session = await sessionWith((real) => async (subject, body) => {
    bodies.push(body.slice());
    const sequence = await real(subject, body);
    if (bodies.length < 3) throw new LogError("append", "timeout", "no answer");
    return sequence;
  });
  const writer = writerOf(session);
  assertEquals(await writer.write("edit", [edit(1)], later()), 3);
  assertEquals(bodies.map((body) => hashOf(body)), [hashOf(bodies[0]), hashOf(bodies[0]), hashOf(bodies[0])]);
  assertEquals(await writer.write("edit", [edit(2)], later()), 4);
  assertEquals(await records(session), [[1, 1], [1, 1], [1, 1], [2, 2]]);
  await writer.close();
});

Deno.test("cluster: edits that are given up are unknown, stay on their way, and come before those behind them", async () => {
  let isAway = true;
  const session = await sessionWith((real) => (subject, body) => {
    return isAway ? Promise.reject(new LogError("append", "unreachable", "away")) : real(subject, body);
  });
  const writer = writerOf(session);
  const error = await assertRejects(() => writer.write("edit", [edit(1)], soon()), ClusterError);
  assertEquals([error.fault, error.partitions], ["unknown", [0]]);
  isAway = false;
  await writer.write("edit", [edit(2)], later());
  const found = await records(session);
  assertEquals(found.map(([number]) => number), [1, 2]);
  assertEquals(found.map(([, value]) => value), [1, 2]);
  await writer.close();
});

Deno.test("cluster: edits whose time is over are given up while the log says nothing, and those behind them were not sent", async () => {
  const answers: (() => void)[] = [], sent: number[] = [];
  const session = await sessionWith((real) => async (subject, body) => {
    sent.push(decodeBatch(body.slice(), "keys", 1).edits.length);
    await new Promise<void>((resolve) => answers.push(resolve));
    return await real(subject, body);
  });
  const writer = writerOf(session), since = performance.now();
  const first = writer.write("edit", [edit(1)], soon());
  await new Promise((resolve) => setTimeout(resolve, 20));
  const patient = writer.write("edit", [edit(2)], later());
  const hasty = writer.write("edit", [edit(3)], soon());
  const errors = [
    await assertRejects(() => first, ClusterError),
    await assertRejects(() => hasty, ClusterError),
  ];
  assert(performance.now() - since < 1000);
  assertEquals(errors.map(({ fault, partitions }) => [fault, partitions]), [["unknown", [0]], ["unsent", [
    0,
  ]]]);
  // What was not sent weighs no more, and never is.
  assertEquals(writer.bytes, 2 * editBytes(edit(1)));
  answers[0]();
  while (answers.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  answers[1]();
  await patient;
  assertEquals(await records(session), [[1, 1], [2, 2]]);
  assertEquals([sent, writer.bytes], [[1, 1], 0]);
  await writer.close();
});

Deno.test("cluster: a writer that is closed waits for what is on its way, and no longer than the calls do", async () => {
  for (const way of ["fails", "is silent"]) {
    let tries = 0;
    const session = await sessionWith(() => (_subject, _body, { signal } = {}) => {
      tries++;
      if (way === "fails") return Promise.reject(new LogError("append", "unreachable", "away"));
      return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    });
    const writer = writerOf(session), since = performance.now();
    const call = assertRejects(() => writer.write("edit", [edit(1)], soon()), ClusterError);
    while (tries === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await writer.close();
    assertEquals((await call).fault, "unknown");
    assert(performance.now() - since > 100 && performance.now() - since < 1000, way);
    const error = await assertRejects(() => writer.write("edit", [edit(2)], later()), ClusterError);
    assertEquals(error.fault, "unsent");
  }
});

Deno.test("cluster: whatever the log does, an edit ends in its time and says whether it may be kept", async () => {
  const log = memoryLog(), open: { silent: Set<string> } = { silent: new Set() };
  const wrapped: ClusterLog = {
    ...log,
    open: async (role) => {
      const session = await log.open(role), append = session.append.bind(session);
      session.append = (subject, body, options) => {
        if (!open.silent.has(subject)) return append(subject, body, options);
        return new Promise((_, reject) =>
          options?.signal?.addEventListener("abort", () => reject(options.signal?.reason))
        );
      };
      return session;
    },
  };
  const create = { dim: 1, valueDim: 1, partitions: 2 }, ids = ["", ""];
  for (let at = 0; ids.includes(""); at++) ids[partitionOf(`k${at}`, 2)] ||= `k${at}`;
  const set = (...ids: string[]) => ids.map((id) => ({ kind: "set", id, key: [0], value: [1] }) as const);
  const memory = await connect(wrapped, { create, maxUnacked: 60 }), timeoutMs = 200;
  const within = async (call: () => Promise<unknown>, ms = 1000) => {
    const since = performance.now(), error = await assertRejects(call, ClusterError);
    assert(performance.now() - since < ms, `${performance.now() - since} ms`);
    return [error.fault, error.partitions];
  };
  open.silent.add("log.0");
  // One partition has it, the other one may.
  assertEquals(await within(() => memory.edit(set(...ids), { timeoutMs })), ["unknown", [0]]);
  // The silent partition's writer has a batch on its way, so that no more of it is sent.
  assertEquals(await within(() => memory.edit(set(ids[0]), { timeoutMs })), ["unsent", [0]]);
  assertEquals(await within(() => memory.edit(set(...ids), { timeoutMs })), ["unknown", [0]]);
  // A call that waits for room longer does not keep one back that waits less.
  const long = memory.edit(set(...ids, ...ids), { timeoutMs: 1500 }).catch((error) => error);
  await new Promise((resolve) => setTimeout(resolve, 10));
  const slow = memory.edit(set(ids[1]), { timeoutMs: 1000 }).catch((error) => error);
  assertEquals(await within(() => memory.edit(set(ids[1]), { timeoutMs })), ["unsent", []]);
  assertEquals(await within(() => memory.setQuery("q", [1], { timeoutMs })), ["unsent", []]);
  const ended = memory.dispose();
  assertEquals([(await long).fault, (await slow).fault], ["unknown", "unsent"]);
  await ended;
});

Deno.test("cluster: calls that wait for room are written in their order, and one that has left the line never is", async () => {
  const acknowledged = new Changes(), written: number[] = [];
  let hasRoom = false;
  const line = new EditLine(systemClock, acknowledged, () => hasRoom);
  const call = (number: number, wait: number) =>
    line.write("edit", wait, (until) => {
      assert(until <= performance.now() + wait);
      written.push(number);
      return [Promise.resolve(number)];
    });
  const calls = [call(1, 5000), call(2, 5000)], hasty = assertRejects(() => call(3, 50), ClusterError);
  calls.push(call(4, 5000));
  assertEquals((await hasty).fault, "unsent");
  assertEquals(written, []);
  hasRoom = true;
  // A call that comes now does not overtake those that wait.
  calls.push(call(5, 5000));
  acknowledged.tell();
  assertEquals((await Promise.all(calls)).flat(), [1, 2, 4, 5]);
  assertEquals(written, [1, 2, 4, 5]);
  await line.isEmpty();
  // Where nobody waits a call is written at once.
  const last = call(6, 5000);
  assertEquals(written.at(-1), 6);
  assertEquals(await last, [6]);
});

Deno.test("cluster: a call of several writes fails after all of them, with the gravest fault and all partitions", async () => {
  const line = new EditLine(systemClock, new Changes(), () => true);
  const fault = (fault: ClusterFault, partition: number) =>
    new ClusterError("edit", fault, "so it is", [partition]);
  const failed = async (...errors: (ClusterError | number)[]) => {
    const writes = errors.map((one) =>
      one instanceof ClusterError ? Promise.reject(one) : Promise.resolve(one)
    );
    const error = await assertRejects(() => line.write("op", 1000, () => writes), ClusterError);
    assert(error.message.startsWith("op: "));
    return [error.fault, error.partitions];
  };
  assertEquals(await failed(fault("unsent", 3), fault("unsent", 1)), ["unsent", [1, 3]]);
  assertEquals(await failed(fault("unsent", 3), 7), ["unknown", [3]]);
  assertEquals(await failed(fault("unsent", 3), fault("unknown", 2), 7), ["unknown", [2, 3]]);
  assertEquals(await failed(fault("unsent", 3), fault("damaged", 2)), ["damaged", [2, 3]]);
  assertEquals(await failed(fault("unsent", 3), fault("full", 1)), ["full", [1, 3]]);
  assertEquals(await failed(fault("full", 3), fault("unknown", 1)), ["unknown", [1, 3]]);
  assertEquals(await failed(fault("full", 3), 7), ["unknown", [3]]);
  assertEquals(await failed(fault("refused", 3), fault("full", 1)), ["refused", [1, 3]]);
  assertEquals(await failed(fault("unsent", 1), fault("refused", 3)), ["refused", [1, 3]]);
  assertEquals(await failed(fault("refused", 3), 7), ["unknown", [3]]);
});

Deno.test("cluster: a log that is damaged, or gives a number again, ends the writer", async () => {
  const damaged = await sessionWith(() => () =>
    Promise.reject(new LogError("append", "damaged", "the stream is gone"))
  );
  const writer = writerOf(damaged);
  const error = await assertRejects(() => writer.write("edit", [edit(1)], later()), ClusterError);
  assertEquals([error.fault, (error.cause as LogError).reason], ["unknown", "damaged"]);
  await assertRejects(() => writer.write("edit", [edit(2)], later()), ClusterError);
  assertEquals(writer.bytes, 0);
  await writer.close();

  const repeating = writerOf(await sessionWith(() => () => Promise.resolve(7)));
  assertEquals(await repeating.write("edit", [edit(1)], later()), 7);
  const damage = await assertRejects(() => repeating.write("edit", [edit(2)], later()), ClusterError);
  assertEquals(damage.fault, "damaged");
  await repeating.close();
});

Deno.test("cluster: edits of one turn share a batch, and large ones are split", async () => {
  const session = await memoryLog().open("client"), writer = writerOf(session);
  const calls = Array.from({ length: 100 }, (_, at) => writer.write("edit", [edit(at)], later()));
  assert(new Set(await Promise.all(calls)).size <= 2);
  const many = Array.from({ length: 9000 }, (_, at) => edit(at));
  await writer.write("edit", many, later());
  const found = await records(session);
  assert(found.length >= 4 && found.length <= 6, `${found.length} records`);
  assertEquals(found[found.length - 1][1], 8999);
  await writer.close();
});

Deno.test("cluster: a subject applies each batch once, notices gaps, and forgets the oldest of 4,096 clients", () => {
  const ledger = new Ledger(), hashes = new Map<string, Uint8Array<ArrayBuffer>>();
  let sequence = 0;
  const batch = (client: string, number: number, known = 0, previous = hashes.get(client) ?? NO_HASH) => {
    const body = encodeBatch({ kind: "keys", client, number, known, previous, edits: [] });
    return { batch: decodeBatch(body, "keys", 1), body };
  };
  const apply = ({ batch: one, body }: { readonly batch: Batch; readonly body: Uint8Array }) => {
    const isNew = ledger.isNew(one), hash = hashOf(body);
    ledger.note(++sequence, body, isNew ? one : null, hash);
    if (isNew) hashes.set(one.client, hash);
    return isNew;
  };
  const first = batch("a", 1);
  assert(apply(first));
  assertEquals(apply(first), false);
  assertThrows(() => ledger.isNew(batch("a", 3).batch), Damage, "expected 2");
  assertThrows(() => ledger.isNew(batch("b", 2).batch), Damage, "expected 1");
  assertThrows(() => ledger.isNew(batch("a", 2, 0, NO_HASH).batch), Damage, "does not follow");
  assertThrows(() => ledger.isNew(batch("b", 1, 99).batch), Damage, "up to 99 is known");
  assert(apply(batch("a", 2, sequence)));
  const chain = ledger.chain;
  for (let at = 0; at < 4096; at++) assert(apply(batch(`client ${at}`, 1)));
  assertEquals([ledger.forgotten, ledger.clientCount], [1, 4096]);
  // The one that was forgotten goes on, since nobody can say what its batch before was.
  assert(apply(batch("a", 3)));
  assertEquals(apply(batch("client 7", 1, 0, NO_HASH)), false);
  assertEquals([ledger.chainAt(3), ledger.chainAt(sequence)], [null, ledger.chain]);
  assert(!isEqual(chain, ledger.chain));
});

Deno.test("cluster: a key that does not belong into a partition is left out there, whoever has written it", () => {
  const layout = { heads: 1, kvHeads: 1, headDim: 1, valueDim: 1 };
  const partition = new Partition({ layout, scale: 1, softcap: 0 }, (id) => partitionOf(id, 2) === 1);
  const ids = Array.from({ length: 20 }, (_, at) => `k${at}`);
  const edits = ids.map((id) => ({ id, row: Float32Array.of(1, 2) }));
  const body = encodeBatch({ kind: "keys", client: "c", number: 1, known: 0, previous: NO_HASH, edits });
  partition.apply({ sequence: 1, body });
  assertEquals([...partition.rows()].map(([id]) => id), ids.filter((id) => partitionOf(id, 2) === 1));
});

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, at) => byte === b[at]);
}

Deno.test("cluster: a call ends when its time is over, also where one behind it has more time", async () => {
  const silent = await sessionWith(() => (_subject, _body, options) =>
    new Promise((_, reject) =>
      options?.signal?.addEventListener("abort", () => reject(options.signal?.reason))
    )
  );
  const writer = writerOf(silent);
  const since = performance.now(), first = writer.write("edit", [edit(1)], soon());
  const second = writer.write("edit", [edit(2)], performance.now() + 1500);
  const ends = [first, second].map(async (call) => {
    await assertRejects(() => call, ClusterError);
    return performance.now() - since;
  });
  assert(await ends[0] < 1000);
  assert(await ends[1] > 1000);
  await writer.close();
});

for (const reason of ["full", "refused"] as const) {
  Deno.test(`cluster: edits that the log says are ${reason} are given up, and those behind them are written`, async () => {
    let room = 0;
    const session = await sessionWith((real) => async (subject, body, options) => {
      if (room-- <= 0) throw new LogError("append", reason, "there is no room");
      return await real(subject, body, options);
    });
    const writer = writerOf(session);
    const full = await assertRejects(() => writer.write("edit", [edit(1)], later()), ClusterError, "no room");
    assertEquals([full.fault, full.partitions], [reason, [0]]);
    assert(full.cause instanceof LogError);
    assertEquals(writer.bytes, 0);
    room = Infinity;
    assertEquals(await Promise.all([2, 3].map((number) => writer.write("edit", [edit(number)], later()))), [
      1,
      1,
    ]);
    assertEquals(await records(session), [[1, 3]]);
    // A call of several batches, of which the first was kept, is given up as a whole.
    room = 1;
    const wide = Array.from({ length: 10_000 }, (_, number) => edit(number));
    const partly = await assertRejects(() => writer.write("edit", wide, later()), ClusterError, "no room");
    assertEquals([partly.fault, writer.bytes], ["unknown", 0]);
    room = Infinity;
    assertEquals(await writer.write("edit", [edit(4)], later()), 3);
    await writer.close();
    // Where an earlier try may be in the log, nobody knows.
    let tries = 0;
    const other = writerOf(
      await sessionWith(() => () =>
        Promise.reject(new LogError("append", tries++ === 0 ? "timeout" : reason, "so it is"))
      ),
    );
    const unsure = await assertRejects(() => other.write("edit", [edit(1)], later()), ClusterError);
    assertEquals([unsure.fault, tries], ["unknown", 2]);
    await other.close();
  });
}

Deno.test("cluster: a call over partitions of which one has no room says that the others were kept", async () => {
  const inner = memoryLog();
  let full = ["log.0", "log.1"];
  const log: ClusterLog = {
    ...inner,
    open: async (role) => {
      const session = await inner.open(role), append = session.append.bind(session);
      session.append = async (subject, body, options) => {
        if (full.includes(subject)) throw new LogError("append", "full", "there is no room");
        return await append(subject, body, options);
      };
      return session;
    },
  };
  await using memory = await connect(log, { create: { dim: 1, valueDim: 1, partitions: 2 } });
  const ids = [0, 1].map((partition) =>
    Array.from({ length: 50 }, (_, at) => `k${at}`).find((id) => partitionOf(id, 2) === partition) ?? ""
  );
  const edits = ids.map((id) => ({ kind: "set" as const, id, key: [0], value: [1] }));
  const both = await assertRejects(() => memory.edit(edits), ClusterError);
  assertEquals([both.fault, both.partitions], ["full", [0, 1]]);
  full = ["log.1"];
  const one = await assertRejects(() => memory.edit(edits), ClusterError, "others were");
  assertEquals([one.fault, one.partitions], ["unknown", [1]]);
  full = [];
  assertEquals(Object.keys((await memory.edit(edits)).partitions), ["0", "1"]);
});
