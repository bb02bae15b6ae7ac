// The loop that takes connections: refused ones are closed, served ones as long as they are served, and all in the end.

import { Listener } from "../../src/kernel/listener.ts";
import { assertEquals } from "../../testing/assert.ts";

const HOST = "127.0.0.1";

/** The first byte that comes, or null when the other side closes. */
async function heard(stream: Deno.TcpConn): Promise<number | null> {
  const byte = new Uint8Array(1);
  try {
    return await stream.read(byte) === null ? null : byte[0];
  } catch (error) {
    // It was closed before all was read.
    if (error instanceof Deno.errors.ConnectionReset) return null;
    throw error;
  }
}

Deno.test("listener: a connection is open while it is served, the port is open for the next, and a refused one is closed", async () => {
  const ends: (() => void)[] = [];
  using listener = new Listener(HOST, 0, (stream) => {
    if (ends.length === 2) return null;
    const { promise, resolve } = Promise.withResolvers<void>();
    ends.push(resolve);
    return stream.write(Uint8Array.of(7)).then(() => promise);
  });
  const call = () => Deno.connect({ hostname: HOST, port: listener.port });
  using one = await call();
  assertEquals(await heard(one), 7);
  using two = await call();
  assertEquals([await heard(two), listener.connections], [7, 2]);
  using three = await call();
  assertEquals([await heard(three), listener.connections], [null, 2]);
  ends[0]();
  assertEquals([await heard(one), listener.connections], [null, 1]);
});

Deno.test("listener: closing it closes whoever is served, once is enough, and nobody gets in afterwards", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const listener = new Listener(HOST, 0, (stream) => stream.write(Uint8Array.of(7)).then(() => promise));
  using stream = await Deno.connect({ hostname: HOST, port: listener.port });
  assertEquals(await heard(stream), 7);
  listener[Symbol.dispose]();
  listener[Symbol.dispose]();
  assertEquals(await heard(stream), null);
  // The system may still take the call; nobody serves it.
  const answer = await Deno.connect({ hostname: HOST, port: listener.port }).then(
    async (late) => {
      using stream = late;
      return await heard(stream);
    },
    (error) => {
      const { ConnectionRefused, ConnectionReset } = Deno.errors;
      if (error instanceof ConnectionRefused || error instanceof ConnectionReset) return null;
      throw error;
    },
  );
  assertEquals(answer, null);
  resolve();
});
