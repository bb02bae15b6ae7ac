// Full suite: each loop is waited for.
//
// Loops that are stopped in the kernel as a front end starts it.

import { assertEquals } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

Deno.test("a stop reaches loops of every kind, what they have opened is closed, and the kernel is the same", async (t) => {
  await using kernel = await startProxy();
  const { client } = kernel;
  await client.execute(
    `const pause = (ms: number) => new Promise((done) => setTimeout(done, ms)); var state = 42, late = 0;`,
  );
  const cases: readonly (readonly [code: string, said?: string])[] = [
    ["while (true) await null"],
    ["for (let i = 0;; i++) await Promise.resolve(i)"],
    // Awaits that look before they wait, once they are quick, and what computes among them.
    ["for (let i = 0;; i++) { try { await Promise.resolve(i) } finally { late = 0 } }"],
    ["const there = async (i: number) => await Promise.resolve(i); for (let i = 0;; i++) { try { await there(i) } finally { late = 0 } }"],
    ["for (let i = 0;; i++) { try { await Promise.resolve(i) } finally { late = 0 } if (i === 9999) for (;;); }"],
    [
      "try { for (let i = 0;; i++) { try { await Promise.resolve(i) } finally { if (i === 9999) await pause(1e6) } } } finally { await pause(30); console.log('tidy') }",
      "tidy\n",
    ],
    ["for (const each of [1, 2]) await new Promise(() => {})"],
    ["while (true) { await null; for (;;); }"],
    ["for (;;) { await pause(300); late++ }"],
    // Chains of calls, as of a recursion without end: so many awaits throw at once, after the kernel has heard of the stop.
    [
      "await (async function chain(n: number): Promise<void> { await null; n === 0 ? await new Promise(() => {}) : await chain(n - 1) })(100_000)",
    ],
    ["await (async function deeper(n: number): Promise<void> { await null; await deeper(n + 1) })(0)"],
    ["out: while (true) { for (;;) { await pause(5); continue out } }"],
    [
      `function* open() { try { while (true) yield 1 } finally { console.log("closed") } } for (const x of open()) await pause(20)`,
      "closed\n",
    ],
    [
      `const work = async () => { try { while (true) await pause(5) } finally { await pause(30); console.log("tidy") } }; await work()`,
      "tidy\n",
    ],
    [
      `const both = async (n: number) => { try { for (;;) await pause(n) } finally { console.log("over") } }; await Promise.all([both(5), both(7)])`,
      "over\nover\n",
    ],
  ];
  const stopped = async (code: string) => {
    const begun = Promise.withResolvers<void>();
    const running = client.execute(`console.log("begun"); ${code}`, { onOutput: () => begun.resolve() });
    await begun.promise;
    await sleep(100);
    await client.request("interrupt_request", {}, "control");
    const { status, reply, outputs } = await running;
    return [reply.ename ?? status, outputs.map(({ content }) => content.text ?? "").join("")];
  };
  for (const [code, said = ""] of cases) {
    await t.step(code, async () => assertEquals(await stopped(code), ["Interrupted", `begun\n${said}`]));
  }
  await t.step("what is caught outside of the loop goes on", async () => {
    const code = `try { for (;;) await pause(5) } catch (error) { console.log(error.name) }
      for (let i = 0; i < 5; i++) await pause(5); console.log("went on")`;
    assertEquals(await stopped(code), ["ok", "begun\nInterrupted\nwent on\n"]);
  });
  await t.step("the state is kept", async () => {
    const { outputs } = await client.execute(
      `var before = late; await pause(700); console.log(state, late - before)`,
    );
    assertEquals(outputs.map(({ content }) => content.text), ["42 0\n"]);
  });
});
