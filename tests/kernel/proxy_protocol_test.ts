// Full suite: it starts a dozen kernels.
//
// Our kernel against the checks of the messaging protocol, each with a kernel of its own.

import type { Message } from "../../src/kernel/protocol/message.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";
import { PROTOCOL_CHECKS } from "../../testing/kernel/protocol_checks.ts";

/** These end the kernel; all others can share one. */
const ENDING = /^(shutdown|restart)/;
/** These count cells from the first one. */
const FIRST = /^(execute: result|execute: code|execute: silent|history)/;

Deno.test("protocol: our kernel does what a front end may expect", async (t) => {
  for (const check of PROTOCOL_CHECKS.filter(({ name }) => ENDING.test(name) || FIRST.test(name))) {
    const heard: Message[] = [];
    await using kernel = await startProxy({ onMessage: (message) => void heard.push(message) });
    await t.step(check.name, () => check.run(kernel, heard));
  }
  const heard: Message[] = [];
  await using kernel = await startProxy({ onMessage: (message) => void heard.push(message) });
  for (const check of PROTOCOL_CHECKS.filter(({ name }) => !ENDING.test(name) && !FIRST.test(name))) {
    heard.length = 0;
    await t.step(check.name, () => check.run(kernel, heard));
  }
});
