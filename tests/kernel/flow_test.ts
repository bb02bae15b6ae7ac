// Text that a cell prints faster than front ends take it: the cell waits, can be stopped there, and goes on when nobody
// listens.

import { FLOW_UNIT, FLOW_UNITS, FlowCount } from "../../src/kernel/link/flow.ts";
import { Flow, PRESSES } from "../../src/kernel/prelude/flow.ts";
import { assert, assertEquals } from "../../testing/assert.ts";

Deno.test("both ends count the same units, however the text is cut", () => {
  const kernel = new FlowCount(), proxy = new FlowCount();
  let sent = 0, handedOn = 0;
  for (let at = 0; at < 100; at++) sent += kernel.add(FLOW_UNIT / 8 + at);
  for (let at = 99; at >= 0; at--) handedOn += proxy.add(FLOW_UNIT / 8 + at);
  assertEquals([sent, handedOn], [12, 12]);
});

Deno.test("a cell waits while too much is on its way, and not for long where nobody listens", () => {
  const flow = new Flow(() => false, 150), much = (FLOW_UNITS + 1) * FLOW_UNIT;
  const timeOf = (letters: number) => {
    const startedAt = performance.now();
    flow.sent(letters);
    return performance.now() - startedAt;
  };
  assert(timeOf(FLOW_UNIT) < 50, "little is on its way");
  assert(timeOf(much) >= 150, "nobody listens");
  assert(timeOf(FLOW_UNIT) < 50, "that is not waited for twice");
});

Deno.test("a stop throws in who waits", () => {
  const heard: number[] = [];
  const flow = new Flow((press) => heard.push(press) > 0);
  Atomics.store(flow.counter, PRESSES, 3);
  let name = "";
  try {
    flow.sent((FLOW_UNITS + 1) * FLOW_UNIT);
  } catch (error) {
    name = (error as Error).name;
  }
  assertEquals([name, heard], ["Interrupted", [3]]);
});
