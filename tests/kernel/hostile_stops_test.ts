// Full suite: each cell is waited for.
//
// Cells that are hard to stop, each in the kernel as a front end starts it: it ends, the state is kept, and the next cell
// runs.

import type { KernelProcess } from "../../src/kernel/kernel_process.ts";
import { assertEquals } from "../../testing/assert.ts";
import { childOf, startProxy } from "../../testing/kernel/start_proxy.ts";

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
/** A module of WebAssembly that exports `f`, which loops for ever. */
const LOOP =
  "Uint8Array.of(0,97,115,109,1,0,0,0,1,4,1,96,0,0,3,2,1,0,7,5,1,1,102,0,0,10,9,1,7,0,3,64,12,0,11,11)";
const NEVER = "await new Promise(() => {})";

/** What becomes of a cell that is stopped once it has begun. */
async function stopped(kernel: KernelProcess, code: string): Promise<string> {
  const begun = Promise.withResolvers<void>();
  const running = kernel.client.execute(`console.log("begun"); ${code}`, { onOutput: () => begun.resolve() });
  await begun.promise;
  await sleep(100);
  await kernel.client.request("interrupt_request", {}, "control");
  const { status, reply } = await running;
  return `${status} ${reply.ename}`;
}

async function check(t: Deno.TestContext, codes: readonly string[]): Promise<void> {
  await using kernel = await startProxy();
  await kernel.client.execute("var state = 42");
  const child = await childOf(kernel);
  for (const code of codes) {
    await t.step(code.replace(LOOP, "LOOP").slice(0, 120), async () => {
      assertEquals(await stopped(kernel, code), "error Interrupted");
      const { outputs, status } = await kernel.client.execute("console.log(state)");
      assertEquals([status, outputs.map(({ content }) => content.text)], ["ok", ["42\n"]]);
      assertEquals(await childOf(kernel), child, "it is the same kernel");
    });
  }
}

Deno.test("a stop reaches waits of every kind: servers, workers, programs, streams, imports", async (t) => {
  // It takes connections, and never answers.
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr;
  await check(t, [
    `await (await fetch("http://127.0.0.1:${port}/")).text()`,
    `var worker = new Worker("data:text/javascript,for(;;);", { type: "module" });
     await new Promise((done) => worker.onmessage = done)`,
    `worker.terminate(); var listener = Deno.listen({ port: 0 }); for await (const other of listener);`,
    `listener.close(); await new Deno.Command("sleep", { args: ["100"] }).output()`,
    `await new Deno.Command("yes", { stdout: "inherit" }).spawn().status`,
    `for await (const part of new ReadableStream({ pull: () => new Promise(() => {}) }));`,
    `await import("data:text/javascript,await new Promise(() => {})")`,
    `await eval("(async () => { await new Promise(() => {}) })()")`,
    `await Promise.any([new Promise(() => {})])`,
    `{ await using tidy = { [Symbol.asyncDispose]: async () => { await null } }; ${NEVER} }`,
  ]);
});

Deno.test("a stop reaches what computes, wherever it was begun", async (t) => {
  await check(t, [
    `new WebAssembly.Instance(new WebAssembly.Module(${LOOP})).exports.f()`,
    `const { instance } = await WebAssembly.instantiate(${LOOP}); instance.exports.f()`,
    `eval("for (;;);")`,
    `await import("data:text/javascript,for(;;);")`,
    `queueMicrotask(function again() { queueMicrotask(again) }); ${NEVER}`,
    `while (true) console.log("line")`,
    // The kernel is about to read the word of the stop when this loop begins, and what is terminated takes that with it.
    `var server = Deno.listen({ hostname: "127.0.0.1", port: 0 }), near = await Deno.connect({ port: server.addr.port });
     var far = await server.accept(); far.read(new Uint8Array(1)).then(() => { for (;;); });
     await near.write(new Uint8Array(1)); for (const end = Date.now() + 400; Date.now() < end;); ${NEVER}`,
  ]);
});

Deno.test("a stop ends timers that begin to compute anew as soon as they are stopped", async (t) => {
  await check(t, [
    `setInterval(() => { for (;;); }, 1); ${NEVER}`,
    `var again = () => { setTimeout(again, 0); for (;;); }; setTimeout(again, 5); ${NEVER}`,
    `var chain = () => { setTimeout(chain, 0); for (;;); }; chain()`,
  ]);
});

Deno.test("a stop ends a loop in whatever calls it later, and the kernel goes on", async (t) => {
  const word = "new Int32Array(new SharedArrayBuffer(4))";
  await check(t, [
    `setImmediate(() => { for (;;); }); ${NEVER}`,
    // Immediates of one turn, in which the runtime's own call of the first would be the end.
    `setImmediate(() => { for (;;); }); setImmediate(() => { for (;;); }); ${NEVER}`,
    `setImmediate(() => { for (;;); }); setImmediate(() => {}); ${NEVER}`,
    `setTimeout(() => setImmediate(() => { for (;;); }), 5); setTimeout(() => setImmediate(() => {}), 5); ${NEVER}`,
    `var { default: own } = await import("node:timers"); own.setImmediate(() => { for (;;); }); setImmediate(() => {}); ${NEVER}`,
    `import { setImmediate as soon } from "node:timers/promises"; var turn = soon(); setImmediate(() => {}); await turn; for (;;);`,
    `import { scheduler } from "node:timers/promises"; setTimeout(() => {}, 5); await scheduler.wait(5); for (;;);`,
    `(function again() { setImmediate(again); setImmediate(() => {}); for (;;); })()`,
    `var fired = setTimeout(() => { fired.refresh(); for (;;); }, 5); ${NEVER}`,
    // Timers that are due together, and the end of a wait among them.
    `setTimeout(() => { for (;;); }, 5); setTimeout(() => {}, 5); setTimeout(() => {}, 6); ${NEVER}`,
    `AbortSignal.timeout(5).addEventListener("abort", () => { for (;;); }); setTimeout(() => {}, 5); ${NEVER}`,
    `import { setTimeout as pass } from "node:timers/promises"; setTimeout(() => {}, 5); await pass(5); for (;;);`,
    `var each = setInterval(() => {}, 1); try { for (;;) {
       await new Promise((done) => setTimeout(done, 1)); for (const end = Date.now() + 2000; Date.now() < end;);
     } } finally { clearInterval(each) }`,
    `var { default: timers } = await import("node:timers"); timers.setTimeout(() => { for (;;); }, 5); ${NEVER}`,
    `timers.setInterval(() => { for (;;); }, 5); ${NEVER}`,
    `AbortSignal.timeout(5).addEventListener("abort", () => { for (;;); }); ${NEVER}`,
    `await Atomics.waitAsync(${word}, 0, 0, 5).value; for (;;);`,
    `Atomics.waitAsync(${word}, 0, 0, 5).value.then(() => { for (;;); }); ${NEVER}`,
    `process.nextTick(() => { for (;;); }); ${NEVER}`,
    `var again = () => process.nextTick(again); again(); ${NEVER}`,
    `import { nextTick } from "node:process"; setTimeout(() => nextTick(() => { for (;;); }), 5); ${NEVER}`,
    `import { setTimeout as later } from "node:timers"; later(() => { for (;;); }, 5); ${NEVER}`,
    `for await (const item of [new Promise(() => {})]);`,
    `await { then(resolve) { resolve(new Promise(() => {})) } }`,
  ]);
});
