// The loop that keeps pages current: the order of changes and looks, and what becomes of those that fail.

import { ChangeLoop } from "../../src/jupyter/live/page/change_loop.ts";
import { assertEquals, assertRejects } from "../../testing/assert.ts";

/** A loop that writes down what happens, and whose looks wait for `go`. */
function recorded() {
  const log: string[] = [];
  const gates: (() => void)[] = [];
  const loop = new ChangeLoop({
    look: () => {
      log.push("look");
      return new Promise((resolve) => gates.push(resolve));
    },
    fail: (error) => log.push(`failed: ${(error as Error).message}`),
    pause: () => {
      log.push("pause");
      return Promise.resolve();
    },
  });
  const write = (text: string) => () => void log.push(text);
  /** Waits until a look is taken. */
  const begun = async () => {
    while (gates.length === 0) await Promise.resolve();
  };
  /** Ends the look that is taken, once it has begun. */
  const go = async () => {
    await begun();
    gates.shift()!();
  };
  return { log, loop, write, begun, go };
}

Deno.test("change loop: what is asked for while a look is taken is done after it, in order, the last of each kind", async () => {
  const { log, loop, write, begun, go } = recorded();
  const first = loop.ask("a", write("a1"));
  await begun();
  loop.ask("b", write("b1"));
  loop.ask("c", write("c1"));
  const last = loop.ask("b", write("b2"));
  assertEquals([loop.hasWaiting, loop.wantsLook], [true, true]);
  await go();
  await go();
  await Promise.all([first, last]);
  assertEquals(log, ["a1", "look", "pause", "c1", "b2", "look"]);
  assertEquals([loop.hasWaiting, loop.wantsLook], [false, false]);
});

Deno.test("change loop: a change that fails is told after the look, and keeps nothing else from being done", async () => {
  const { log, loop, write, begun, go } = recorded();
  const fail = (message: string) => () => Promise.reject(new Error(message));
  const asked = [loop.ask("a", write("a"))];
  await begun();
  asked.push(
    loop.ask("b", fail("later")),
    loop.ask("c", () => {
      throw new Error("at once");
    }),
    loop.ask("d", write("d")),
  );
  await go();
  await go();
  await Promise.all(asked);
  assertEquals(log, ["a", "look", "pause", "d", "look", "failed: later", "failed: at once"]);
});

Deno.test("change loop: a look that fails is the failure of who asked, and the next call begins anew", async () => {
  let isBroken = true, looks = 0;
  const loop = new ChangeLoop({
    look: () => {
      looks++;
      return isBroken ? Promise.reject(new Error("no canvas")) : Promise.resolve();
    },
    fail: () => {},
  });
  await assertRejects(() => loop.ask(), Error, "no canvas");
  isBroken = false;
  await loop.ask();
  assertEquals(looks, 2);
});

Deno.test("change loop: a look that asks for the next one is followed by one, not by a second round", async () => {
  let looks = 0, open = 0;
  const loop: ChangeLoop = new ChangeLoop({
    look: async () => {
      assertEquals(++open, 1, "one look at a time");
      if (++looks < 5) void loop.ask();
      await Promise.resolve();
      open--;
    },
    fail: () => {},
  });
  await loop.ask();
  assertEquals(looks, 5);
});
