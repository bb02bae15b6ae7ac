// The number of threads that "auto" stands for is that of the processors, also where no navigator tells it.

import { threadsOf } from "../../../src/backends/wasm/threads/thread_count.ts";
import { assertEquals } from "../../../testing/assert.ts";

/** What "auto" stands for where these are the globals. */
function autoWith(globals: { readonly navigator: unknown; readonly process: unknown }): number {
  const own = (["navigator", "process"] as const).map((name) =>
    [name, Object.getOwnPropertyDescriptor(globalThis, name) as PropertyDescriptor] as const
  );
  try {
    for (const [name] of own) {
      Object.defineProperty(globalThis, name, { value: globals[name], configurable: true });
    }
    return threadsOf("auto");
  } finally {
    for (const [name, descriptor] of own) Object.defineProperty(globalThis, name, descriptor);
  }
}

Deno.test("auto is the number of processors, from the navigator or, on Node 20, which has none, from the system", () => {
  const nodeWith = (os: unknown) => ({
    getBuiltinModule: (name: string) => name === "node:os" ? os : undefined,
  });
  const five = nodeWith({ availableParallelism: () => 5 });
  const cases = [
    { navigator: { hardwareConcurrency: 3 }, process: five, expected: 3 },
    { navigator: undefined, process: five, expected: 5 },
    { navigator: {}, process: nodeWith({ availableParallelism: () => 64 }), expected: 16 },
    { navigator: undefined, process: nodeWith({}), expected: 1 },
    { navigator: undefined, process: {}, expected: 1 },
    { navigator: undefined, process: undefined, expected: 1 },
  ];
  for (const { expected, ...globals } of cases) assertEquals(autoWith(globals), expected);
  assertEquals(threadsOf(3), 3);
});
