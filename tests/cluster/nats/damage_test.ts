// Full suite: it damages the stores of servers of NATS.
//
// Streams that are damaged, deleted or purged under sessions: a right answer or an error that says so, and
// never another thing.

import { LogError, type LogSession } from "../../../src/cluster/log.ts";
import { assert, assertEquals, assertGreater, assertRejects } from "../../../testing/assert.ts";
import { bodyOf, openWithin, readAll, textOfBody } from "../../../testing/cluster/log_writers.ts";
import { connectAdmin, type NatsAdmin } from "../../../testing/cluster/nats_admin.ts";
import { startServers, STREAM, withServer } from "../../../testing/cluster/nats_scene.ts";
import { Random } from "../../../testing/random.ts";
import { IS_LONG } from "../../../testing/requirements.ts";

const TIMES = IS_LONG ? 4 : 2;

Deno.test({
  name: "a flipped byte in the store: whoever knew more says damaged, and no record has other bytes",
  ...withServer(),
  fn: async () => {
    const random = new Random(74), outcomes = new Map<string, number>();
    for (let at = 0; at < TIMES; at++) {
      const { servers, log } = await startServers(1, "disk");
      await using _servers = servers;
      const [server] = servers.servers, count = 100 + random.below(200);
      await using session = await openWithin(log, 10_000);
      const numbers: number[] = [];
      for (let record = 0; record < count; record++) {
        numbers.push(await session.append("records", bodyOf(`r ${record}`, 100 + random.below(200))));
      }
      await server.end("SIGKILL");
      const files = await filesUnder(`${server.folder}/store`, /attune_faults\/.*\.(blk|idx|db|inf|sum)$/);
      const blocks = files.filter((file) => file.endsWith(".blk"));
      const file = at % 3 ? blocks[random.below(blocks.length)] : files[random.below(files.length)];
      const bytes = await Deno.readFile(file);
      bytes[random.below(bytes.length)] ^= 1 << random.below(8);
      await Deno.writeFile(file, bytes);
      await server.start();
      const last = numbers[numbers.length - 1];
      // The session that was there knows the newest number: it is given that record, or an error.
      const known = await outcomeOf(async () => {
        const signal = AbortSignal.timeout(20_000);
        for await (const records of session.follow("records", last - 1, { signal })) {
          assertEquals(records.map(({ body }) => textOfBody(body)), [`r ${count - 1}`]);
          return "whole";
        }
        return "nothing";
      });
      // A new one is given what there is, under its own numbers, and nothing else.
      const whole = numbers.map((sequence, record) => `${sequence} r ${record}`);
      const fresh = await outcomeOf(async () => {
        const seen = (await readAll(log, "records")).map(({ sequence, body }) =>
          `${sequence} ${textOfBody(body)}`
        );
        assert(seen.every((record) => whole.includes(record)));
        return seen.length === whole.length ? "whole" : "fewer";
      });
      assert(known !== "nothing" && (known !== "whole" || fresh !== "fewer"), `${known}, ${fresh}`);
      const outcome = `${known}, then ${fresh}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    console.log(`  ${[...outcomes].map(([outcome, times]) => `${outcome} ${times}`).join(", ")}`);
  },
});

Deno.test({
  name:
    "a stream that is deleted, or made anew, under a session: damaged, for writers, followers and new sessions",
  ...withServer(),
  fn: async () => {
    const { servers, log } = await startServers(1, "disk");
    await using _servers = servers;
    await using session = await openWithin(log, 10_000);
    for (let at = 0; at < 20; at++) await session.append("records", bodyOf(`r ${at}`, 50));
    await using admin = await connectAdmin(servers);
    await admin.streams.delete(STREAM);
    const gone = await assertRejects(() => session.append("records", bodyOf("late", 50)), LogError);
    assertEquals(gone.reason, "damaged", gone.message);
    const lost = await assertRejects(() => firstAfter(session, 0), LogError);
    assertEquals(lost.reason, "damaged");
    // Nobody makes another in its place, since the buckets beside it show that it was there.
    const error = await assertRejects(() => log.open("client"), LogError);
    assertEquals(error.reason, "damaged", error.message);
    // Where somebody does by hand, the session does not take it for its own.
    await admin.streams.add({ name: STREAM, subjects: ["attune.faults.log.>"], storage: "file" });
    await using other = await openWithin(log, 10_000);
    await other.append("records", bodyOf("new", 50));
    assertEquals((await assertRejects(() => firstAfter(session, 0), LogError)).reason, "damaged");
    assertEquals(
      (await assertRejects(() => session.append("records", bodyOf("late", 50)), LogError)).reason,
      "damaged",
    );
  },
});

Deno.test({
  name: "a stream that is purged under a session: its numbers go on, and a follower goes on behind the purge",
  ...withServer(),
  fn: async () => {
    const { servers, log } = await startServers(1, "disk");
    await using _servers = servers;
    await using session = await openWithin(log, 10_000);
    let last = 0;
    for (let at = 0; at < 20; at++) last = await session.append("records", bodyOf(`r ${at}`, 50));
    await using admin = await connectAdmin(servers);
    await admin.streams.purge(STREAM);
    const next = await session.append("records", bodyOf("next", 50));
    assertGreater(next, last);
    assertEquals(await firstAfter(session, 0), [`${next} next`]);
  },
});

Deno.test({
  name: "an object that lost a piece, or all of them, is damaged, and one that was removed is none",
  ...withServer(),
  fn: async () => {
    const { servers, log } = await startServers(1, "disk");
    await using _servers = servers;
    await using session = await openWithin(log, 10_000);
    await using admin = await connectAdmin(servers);
    const bucket = "OBJ_attune_faults_objects";
    for (const name of ["none", "one", "all"]) await session.putObject(name, bodyOf(name, 400_000));
    const { state } = await admin.streams.info(bucket, { subjects_filter: "$O.attune_faults_objects.C.>" });
    const subjects = Object.keys(state.subjects ?? {});
    assertEquals(subjects.length, 3);
    // The first piece of the second object, and all pieces of the third.
    const [first] = await firstOf(admin, bucket, subjects[1]);
    await admin.streams.deleteMessage(bucket, first);
    await admin.streams.purge(bucket, { filter: subjects[2] });
    const outcomes: string[] = [];
    for (const name of ["none", "one", "all"]) {
      outcomes.push(
        await outcomeOf(async () => {
          const found = await session.getObject(name, { timeoutMs: 3000 });
          assertEquals(found?.toHex(), bodyOf(name, 400_000).toHex());
          return "whole";
        }),
      );
    }
    assertEquals(outcomes.sort(), ["damaged", "damaged", "whole"]);
    await session.removeObject("one");
    assertEquals(await session.getObject("one"), null);
    await session.putObject("one", bodyOf("new", 10));
    assertEquals(textOfBody(await session.getObject("one") ?? new Uint8Array(0)), "new");
  },
});

/** What came of it, or the reason of an error that says that it cannot be had. */
async function outcomeOf(act: () => Promise<string>): Promise<string> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof LogError) || error.isPassing) throw error;
    assert(error.reason === "damaged" || error.reason === "refused", error.message);
    return error.reason;
  }
}

/** The first list that a follower gives. */
async function firstAfter(session: LogSession, after: number): Promise<string[]> {
  for await (const records of session.follow("records", after)) {
    return records.map(({ sequence, body }) => `${sequence} ${textOfBody(body)}`);
  }
  return [];
}

/** The numbers of the messages of a subject, the first of them. */
async function firstOf(admin: NatsAdmin, stream: string, subject: string): Promise<number[]> {
  const info = await admin.streams.info(stream);
  for (let seq = info.state.first_seq; seq <= info.state.last_seq; seq++) {
    const message = await admin.streams.getMessage(stream, { seq });
    if (message?.subject === subject) return [seq];
  }
  return [];
}

async function filesUnder(folder: string, pattern: RegExp): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await filesUnder(path, pattern));
    else if (pattern.test(path)) found.push(path);
  }
  return found.sort();
}
