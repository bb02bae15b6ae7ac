// Comms under strain: whatever handlers do, cells go on at once, and messages are handled in order.

import { assertEquals, assertLess } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";

Deno.test("a handler that never ends holds up one cell for a moment, and none after it", async () => {
  await using kernel = await startProxy();
  await kernel.client.execute(
    `globalThis[Symbol.for("attune.kernel")].registerTarget("endless", (comm) => {
       comm.onMessage = () => ({ then() {} });
       return new Promise(() => {});
     }); 0`,
  );
  await kernel.client.tell("comm_open", { comm_id: "a", target_name: "endless", data: {} });
  await kernel.client.execute("1");
  for (let at = 0; at < 2; at++) {
    const startedAt = performance.now();
    await kernel.client.execute("2");
    assertLess(performance.now() - startedAt, 1800);
  }
  await kernel.client.tell("comm_msg", { comm_id: "a", data: {} });
  await kernel.client.execute("3");
  const startedAt = performance.now();
  await kernel.client.execute("4");
  assertLess(performance.now() - startedAt, 1800);
});

Deno.test("a flood of messages is handled in order, each acknowledged once, while cells run between them", async () => {
  const count = 900, idles = new Map<string, number>();
  await using kernel = await startProxy({
    onMessage: ({ header, content, parentHeader: parent }) => {
      if (header.msg_type !== "status" || content.execution_state !== "idle") return;
      const id = String(parent?.msg_id);
      idles.set(id, (idles.get(id) ?? 0) + 1);
    },
  });
  await kernel.client.execute(
    `var seen = []; globalThis[Symbol.for("attune.kernel")].registerTarget("flood", (comm) => {
       comm.onMessage = ({ data }) => void seen.push(data.at);
     }); 0`,
  );
  await kernel.client.tell("comm_open", { comm_id: "f", target_name: "flood", data: {} });
  const sent: string[] = [];
  for (let at = 0; at < count; at++) {
    sent.push(await kernel.client.tell("comm_msg", { comm_id: "f", data: { at } }));
    if (at % 300 === 150) await kernel.client.execute("await null");
  }
  const { outputs } = await kernel.client.execute(
    "console.log(seen.length, seen.every((at, row) => at === row))",
  );
  assertEquals(outputs.map(({ content }) => content.text), [`${count} true\n`]);
  assertEquals(sent.map((id) => idles.get(id) ?? 0).filter((times) => times !== 1).length, 0);
});
