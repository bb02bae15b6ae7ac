// Full suite: it waits for pings of connections whose network swallows everything.
//
// A network that is cut, both ways or one, between a session and its server: every call ends in time, with an
// error that says whether it may have happened; when the network is back all goes on, and nothing is lost or
// there twice.

import { LogError } from "../../../src/cluster/log.ts";
import { natsLog } from "../../../src/cluster/nats/nats_log.ts";
import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "../../../testing/assert.ts";
import { startCutProxy } from "../../../testing/cluster/cut_proxy.ts";
import {
  type Acknowledged,
  assertAllThere,
  bodyOf,
  readAll,
  textOfBody,
} from "../../../testing/cluster/log_writers.ts";
import { AUTH, NAME, sleep, startServers, withServer } from "../../../testing/cluster/nats_scene.ts";
import { IS_LONG } from "../../../testing/requirements.ts";

const TIMES = IS_LONG ? 4 : 2;

Deno.test({
  name:
    "a network that swallows everything, or closes connections: a typed error in time, and then all goes on",
  ...withServer(),
  fn: async () => {
    const { servers } = await startServers(1, "disk");
    await using _servers = servers;
    await using proxy = startCutProxy(servers.servers[0].port);
    const cut = natsLog({ servers: proxy.address, name: NAME, auth: AUTH });
    const whole = natsLog({ servers: servers.addresses, name: NAME, auth: AUTH });
    await using session = await cut.open("host");
    await using other = await whole.open("host");
    await using _served = await session.serve("cut", () => bodyOf("here", 10));
    const acknowledged: Acknowledged = new Map(), followed: string[] = [], stop = new AbortController();
    const following = (async () => {
      for await (const records of session.follow("records", 0, { signal: stop.signal })) {
        followed.push(...records.map(({ body }) => textOfBody(body)));
      }
    })();
    for (let at = 0; at < TIMES; at++) {
      const isSwallowed = at % 2 === 0;
      if (isSwallowed) proxy.swallow();
      else proxy.close();
      const started = performance.now(), text = `cut ${at}`, body = bodyOf(text, 50);
      if (isSwallowed) {
        const error = await assertRejects(
          () => session.append("records", body, { id: text, timeoutMs: 1000 }),
          LogError,
        );
        assert(error.isPassing, error.message);
        assertLess(performance.now() - started, 2000);
        await assertRejects(() => other.request("cut", body, { timeoutMs: 500 }), LogError);
        acknowledged.set(`other ${at}`, await other.append("records", bodyOf(`other ${at}`, 50)));
        proxy.heal();
      }
      acknowledged.set(text, await session.append("records", body, { id: text, timeoutMs: 20_000 }));
      for (const until = performance.now() + 10_000;;) {
        const reply = await other.request("cut", body, { timeoutMs: 500 }).catch(() => null);
        if (reply !== null) break;
        assert(performance.now() < until, "the address is served again");
      }
      // The next cut finds a follower that has everything.
      for (const until = performance.now() + 10_000; followed.length < acknowledged.size;) {
        assert(performance.now() < until, `the follower has ${followed.length} of ${acknowledged.size}`);
        await sleep(20);
      }
    }
    const records = await readAll(whole, "records");
    assertAllThere(records, acknowledged);
    stop.abort();
    await following;
    assertEquals(followed, records.map(({ body }) => textOfBody(body)));
  },
});

Deno.test({
  name:
    "a write that must find a revision and whose answer is lost says that it is not known, and never that it failed",
  ...withServer(),
  fn: async () => {
    const { servers } = await startServers(1, "disk");
    await using _servers = servers;
    await using proxy = startCutProxy(servers.servers[0].port);
    await using session = await natsLog({ servers: proxy.address, name: NAME, auth: AUTH }).open("host");
    for (let at = 0; at < TIMES; at++) {
      proxy.swallow("answers");
      const putting = session.put(`key.${at}`, bodyOf("mine", 20), { revision: 0, timeoutMs: 8000 });
      setTimeout(proxy.heal, 300);
      const error = await assertRejects(() => putting, LogError);
      assertEquals(error.reason, "timeout", error.message);
      assertEquals(
        textOfBody((await session.get(`key.${at}`, { timeoutMs: 10_000 }))?.value ?? bodyOf("gone", 9)),
        "mine",
      );
      // An append under an id is sent again, and is there once.
      proxy.swallow("answers");
      const appending = session.append("once", bodyOf(`r ${at}`, 20), { id: `r ${at}`, timeoutMs: 10_000 });
      setTimeout(proxy.heal, 300);
      await appending;
    }
    const records = await readAll(natsLog({ servers: servers.addresses, name: NAME, auth: AUTH }), "once");
    assertEquals(
      records.map(({ body }) => textOfBody(body)),
      Array.from({ length: TIMES }, (_, at) => `r ${at}`),
    );
  },
});

Deno.test({
  name: "a network that is gone without a word is noticed by pings, and calls say so",
  ...withServer(),
  fn: async () => {
    const { servers } = await startServers(1, "disk");
    await using _servers = servers;
    await using proxy = startCutProxy(servers.servers[0].port);
    await using session = await natsLog({ servers: proxy.address, name: NAME, auth: AUTH }).open("host");
    await session.append("records", bodyOf("before", 50));
    proxy.swallow();
    // Three pings of two seconds each, then the connection counts as lost.
    await sleep(9000);
    const error = await assertRejects(
      () => session.append("records", bodyOf("late", 50), { timeoutMs: 300 }),
      LogError,
    );
    assertEquals(error.reason, "unreachable", error.message);
    proxy.heal();
    assertGreater(await session.append("records", bodyOf("after", 50), { timeoutMs: 10_000 }), 0);
  },
});
