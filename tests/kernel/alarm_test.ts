// The timers of cells, which share one timer of the runtime: they come in their order, in their context, and can be cleared,
// and nothing of it shows.

import { AsyncLocalStorage } from "node:async_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { jobAfter } from "../../src/kernel/prelude/alarm.ts";
import { KernelProcess } from "../../src/kernel/kernel_process.ts";
import { assertEquals, assertLessOrEqual } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";
import { Random } from "../../testing/random.ts";

Deno.test("jobs begin in the order in which they are due, each as a job of its own and in its context", async () => {
  const random = new Random(20261130), context = new AsyncLocalStorage<number>(), begun: number[] = [];
  const done = Promise.withResolvers<void>(), count = 500;
  /** Between which times each is due. */
  const due: (readonly [from: number, to: number])[] = [];
  for (let at = 0; at < count; at++) {
    const milliseconds = random.below(20), from = performance.now() + milliseconds;
    context.run(at, () =>
      jobAfter(milliseconds, () => {
        begun.push(context.getStore() ?? -1);
        if (begun.length === count) done.resolve();
      }));
    due.push([from, performance.now() + milliseconds]);
  }
  // All of them are due before the first can begin.
  for (const end = performance.now() + 30; performance.now() < end;);
  await done.promise;
  assertEquals(new Set(begun).size, count);
  for (let at = 1; at < count; at++) assertLessOrEqual(due[begun[at - 1]][0], due[begun[at]][1]);
});

Deno.test("what a job queues is done before the next one begins, where a few are due together", async () => {
  const said: string[] = [], done = Promise.withResolvers<void>();
  for (let at = 0; at < 8; at++) {
    jobAfter(1, async () => {
      said.push(`${at}`);
      await null;
      await null;
      said.push(`${at} later`);
      if (at === 7) done.resolve();
    });
  }
  for (const end = performance.now() + 10; performance.now() < end;);
  await done.promise;
  assertEquals(said, Array.from({ length: 8 }, (_, at) => [`${at}`, `${at} later`]).flat());
});

Deno.test("jobs that are dead are dropped long before they are due", async () => {
  const held = new WeakRef({ bytes: new Uint8Array(8) }), kept: boolean[] = [];
  const dead = (thing: object) => jobAfter(1e8, () => kept.push(thing === null), () => true);
  dead(held.deref()!);
  for (let at = 0; at < 3000; at++) jobAfter(1e8, () => {}, () => true);
  await new Promise((resolve) => setTimeout(resolve));
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals([held.deref(), kept], [undefined, []]);
});

Deno.test("a job that another one sets is not kept waiting by later ones", async () => {
  const order: string[] = [], done = Promise.withResolvers<void>();
  jobAfter(60, () => {
    order.push("late");
    done.resolve();
  });
  jobAfter(1, () => {
    order.push("early");
    jobAfter(1, () => order.push("next"));
  });
  await done.promise;
  assertEquals(order, ["early", "next", "late"]);
});

Deno.test("no job runs within the runtime's own call of timers, where a stop would end the kernel", async () => {
  const limit = Error.stackTraceLimit, stacks: string[] = [];
  Error.stackTraceLimit = 50;
  const done = Promise.withResolvers<void>();
  /** Times of several lengths, some of which come together since each job takes its time. */
  const again = (milliseconds: number) =>
    jobAfter(milliseconds, () => {
      stacks.push(new Error().stack ?? "");
      for (const end = performance.now() + milliseconds / 2; performance.now() < end;);
      if (stacks.length < 150) again(milliseconds);
      else done.resolve();
    });
  for (const milliseconds of [1, 5, 7]) again(milliseconds);
  await done.promise;
  Error.stackTraceLimit = limit;
  assertEquals(stacks.filter((stack) => stack.includes("processTimers")), []);
});

Deno.test("timers of cells are those of the runtime: order, arguments, this, clearing, intervals, refresh", async () => {
  await using kernel = await startProxy();
  const { outputs } = await kernel.client.execute(`
    const said = [],
      pause = (ms) => new Promise((done) => setTimeout(done, ms));
    const say = (...words) => said.push(words.join(" "));
    const compute = (ms) => { for (const end = performance.now() + ms; performance.now() < end;); };
    setTimeout(say, 1500, "d", 4); setTimeout(say, 200, "a"); setTimeout(say, 200, "b"); compute(5); setTimeout(say, 200, "c");
    await pause(1600);
    const gone = setTimeout(say, 5, "never"); clearTimeout(gone);
    const byNumber = setTimeout(say, 5, "never"); clearTimeout(Number(byNumber));
    const unset = setInterval(say, 2, "never"); clearInterval(unset);
    let turns = 0;
    const each = setInterval(function () { if (++turns === 3) clearInterval(this) }, 2);
    setTimeout(function () { say("this", this === own) }, 500); const own = setTimeout(function () { say(this === own) }, 1);
    const fresh = setTimeout(say, 30, "refreshed"), other = setTimeout(say, 31, "other");
    compute(5); fresh.refresh(); await pause(600);
    let times = 0; await new Promise((done) => { const again = setTimeout(() => ++times < 3 ? again.refresh() : done(), 1) }); say(times);
    const once = setTimeout(say, 5, "never"); clearTimeout(once); once.refresh(); await pause(20);
    say(turns, fresh.hasRef(), typeof setTimeout(() => {}).unref().ref()[Symbol.toPrimitive]());
    for (const wrong of [undefined, "5", -1, NaN, Infinity]) await new Promise((done) => setTimeout(done, wrong));
    try { setTimeout("no function") } catch (error) { say(error.name) }
    const late = AbortSignal.timeout(2); await new Promise((done) => late.onabort = done); say(late.reason.name + ": " + late.reason.message);
    console.log(said.join("\\n"))`);
  assertEquals(
    outputs.map(({ content }) => content.text ?? content.traceback).join(""),
    [
      ..."a,b,c,d 4,true,other,refreshed,this false,3,3 true number,TypeError,TimeoutError: The operation was aborted due to timeout"
        .split(","),
      "",
    ].join("\n"),
  );
});

Deno.test("immediates and timers that begin anew do what they do in the stock kernel", async () => {
  const code = `
    const said = [], say = (...words) => said.push(words.join(" ")),
      turn = () => new Promise((done) => setTimeout(done, 5));
    const { default: timers, ...named } = await import("node:timers");
    const promises = await import("node:timers/promises"), { promisify } = await import("node:util");
    setImmediate(say, "a", 1); const gone = setImmediate(say, "never"); setImmediate(say, "b");
    clearImmediate(gone); clearImmediate(gone); clearImmediate(undefined); clearImmediate({}); queueMicrotask(() => say("job"));
    await turn();
    // One clears the next one, and what one queues comes before the next.
    const next = [];
    setImmediate(() => { say("first"); queueMicrotask(() => say("its job")); process.nextTick(() => say("its tick")); clearImmediate(next[0]) });
    next.push(setImmediate(say, "never")); setImmediate(say, "third");
    await turn();
    setImmediate(() => { say("outer"); setImmediate(say, "inner"); }); setImmediate(say, "beside");
    await turn();
    { using held = setImmediate(say, "never"); say(typeof held); }
    const handle = setImmediate(function () { say("this", this === handle) });
    say(handle.constructor.name, handle.hasRef(), handle.unref() === handle, handle.hasRef(), handle.ref().hasRef(), String(handle));
    await turn();
    say(handle.hasRef(), typeof setImmediate(() => {}), setImmediate.name, setImmediate.length, clearImmediate.name, clearImmediate.length);
    say(timers.setImmediate === setImmediate, named.clearImmediate === clearImmediate, timers.clearImmediate === clearImmediate);
    say(await promises.setImmediate("value"), await promisify(setImmediate)("other"), await promisify(setTimeout)(1, "third"));
    say(await promises.scheduler.wait(1), await promises.scheduler.yield(), await promises.scheduler.wait(1, { signal: AbortSignal.abort() }).catch((error) => error.name));
    for await (const each of promises.setInterval(1, "each")) { say(each); break; }
    say(await promises.setImmediate(1, { signal: AbortSignal.abort() }).catch((error) => error.name));
    const aborting = new AbortController(), aborted = promises.setImmediate(1, { signal: aborting.signal });
    aborting.abort(); say(await aborted.catch((error) => error.name));
    try { setImmediate("no function") } catch (error) { say(error.name, error.code) }
    // Many of them, and one in each turn.
    let count = 0; for (let i = 0; i < 500; i++) setImmediate(() => count++);
    await new Promise((done) => setTimeout(done, 200)); say(count);
    for (let i = 0; i < 50; i++) await new Promise((done) => setImmediate(done));
    // Timers that have fired begin anew, and are cleared then as ever.
    let fired = 0; const again = setTimeout(() => fired++, 5); await new Promise((done) => setTimeout(done, 60)); say(fired);
    again.refresh(); clearTimeout(again); await new Promise((done) => setTimeout(done, 60)); say(fired);
    again.refresh(); await new Promise((done) => setTimeout(done, 60)); say(fired);
    const self = setTimeout(() => { fired = 7; self.refresh(); clearTimeout(self) }, 5);
    await new Promise((done) => setTimeout(done, 60)); say(fired);
    const third = setTimeout(() => fired++, 5); await new Promise((done) => setTimeout(done, 60));
    third.refresh(); third.close(); await new Promise((done) => setTimeout(done, 60)); say(fired);
    third.refresh(); clearTimeout(+third); await new Promise((done) => setTimeout(done, 60)); say(fired);
    console.log(said.join("\\n"))`;
  const said = async (kernel: KernelProcess) =>
    (await kernel.client.execute(code)).outputs.map(({ content }) => content.text ?? content.traceback).join(
      "",
    );
  await using ours = await startProxy();
  await using stock = await KernelProcess.start();
  assertEquals((await said(ours)).split("\n"), (await said(stock)).split("\n"));
});
