// Stops that come at an awkward moment: before the question that a cell asks, while it is asked, and while another stop is
// still at work.

import { assert, assertEquals } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Whether something ends in time. */
async function endsWithin(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  return await Promise.race([work.then(() => true), sleep(milliseconds).then(() => false)]);
}

Deno.test("a stop while a question is asked throws once: what tidies up may wait", async () => {
  await using kernel = await startProxy();
  const asked = Promise.withResolvers<void>();
  const running = kernel.client.execute(
    `try { prompt("who?") } finally { await new Promise((done) => setTimeout(done, 400)); console.log("tidy") }`,
    {
      onInput: () => {
        asked.resolve();
        return new Promise(() => {});
      },
    },
  );
  await asked.promise;
  await kernel.client.request("interrupt_request", {}, "control");
  const { reply, outputs } = await running;
  assertEquals([reply.ename, outputs[0]?.content.text], ["Interrupted", "tidy\n"]);
});

Deno.test("a stop that comes before the question of a cell is heard by the question", async () => {
  await using kernel = await startProxy();
  const begun = Promise.withResolvers<void>();
  const running = kernel.client.execute(
    `console.log("begun"); for (const end = Date.now() + 300; Date.now() < end;); prompt("who?"); console.log("went on")`,
    { onOutput: () => begun.resolve(), onInput: () => new Promise(() => {}) },
  );
  await begun.promise;
  await kernel.client.request("interrupt_request", {}, "control");
  assert(await endsWithin(running, 5000));
  const { reply, outputs } = await running;
  assertEquals([reply.ename, outputs.map(({ content }) => content.text ?? content.ename)], [
    "Interrupted",
    ["begun\n", "Interrupted"],
  ]);
  assertEquals((await kernel.client.execute("1")).status, "ok");
});

Deno.test("a stop of a cell is heard while the stop of what came before it is still at work", async () => {
  await using kernel = await startProxy();
  await kernel.client.execute(
    `globalThis[Symbol.for("attune.kernel")].registerTarget("slow", (comm) => {
       comm.onMessage = async () => { console.log("handling"); await new Promise((done) => setTimeout(done, 30)) };
     }); 0`,
  );
  await kernel.client.tell("comm_open", { comm_id: "s", target_name: "slow", data: {} });
  await kernel.client.execute("1");
  for (let round = 0; round < 3; round++) {
    await kernel.client.tell("comm_msg", { comm_id: "s", data: {} });
    const begun = Promise.withResolvers<void>();
    const running = kernel.client.execute(`console.log("begun"); await new Promise(() => {})`, {
      onOutput: () => begun.resolve(),
    });
    const first = kernel.client.request("interrupt_request", {}, "control");
    await begun.promise;
    await kernel.client.request("interrupt_request", {}, "control");
    await first;
    assert(await endsWithin(running, 4000), `round ${round}`);
    assertEquals((await running).reply.ename, "Interrupted");
  }
});
