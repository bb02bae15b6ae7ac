// Promises that are none, or not as they should be: an await of the kernel does with them what the language's own does, it
// can be stopped, and leaves nothing behind.

import { Cells } from "../../src/kernel/prelude/cells.ts";
import { KernelProcess } from "../../src/kernel/kernel_process.ts";
import { stripVTControlCharacters } from "node:util";
import { assertEquals } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";

type Await = (value: unknown) => Promise<unknown>;

const native: Await = async (value) => await value;

/** Things to wait for, each with words on what was asked of it. */
const MADE: Readonly<Record<string, (said: (word: string) => void) => unknown>> = {
  "a getter that throws": (said) => ({
    get then() {
      said("read");
      throw new Error("getter");
    },
  }),
  "a getter that gives nothing": () => ({
    get then() {
      return undefined;
    },
  }),
  "a getter that gives a function": (said) => ({
    get then() {
      said("read");
      return (resolve: (value: number) => void) => resolve(1);
    },
  }),
  "one that throws": (said) => ({
    then() {
      said("called");
      throw new Error("then");
    },
  }),
  "one that resolves, and throws": () => ({
    then(resolve: (value: number) => void) {
      resolve(2);
      throw new Error("late");
    },
  }),
  "one that calls twice": () => ({
    then(resolve: (value: number) => void, reject: (reason: unknown) => void) {
      resolve(3);
      reject(new Error("second"));
      resolve(4);
    },
  }),
  "one that gives another": () => ({
    then(resolve: (value: unknown) => void) {
      resolve({ then: (inner: (value: number) => void) => inner(5) });
    },
  }),
  "a function with a then": () =>
    Object.assign(() => {}, { then: (resolve: (value: number) => void) => resolve(6) }),
  "one that rejects with nothing": () => ({ then: (_: unknown, reject: () => void) => reject() }),
  "a promise whose own then is not asked": (said) =>
    Object.assign(Promise.resolve(7), { then: () => said("own then") }),
  "a promise with another then in its class": (said) => {
    class Lazy extends Promise<number> {
      override then: Promise<number>["then"] = (done, failed) => {
        said("class");
        return super.then(done, failed);
      };
    }
    return Lazy.resolve(8);
  },
  "a promise whose constructor throws": () =>
    Object.defineProperty(Promise.resolve(9), "constructor", {
      get() {
        throw new Error("constructor");
      },
    }),
  "an object that says whether it has a then": () =>
    new Proxy({}, {
      get: () => undefined,
      has() {
        throw new Error("has");
      },
    }),
  "an array": () => [1, 2],
};

async function outcome(awaiting: Await, make: (said: (word: string) => void) => unknown): Promise<string> {
  const words: string[] = [];
  const value = make((word) => words.push(word));
  try {
    const result = await awaiting(value);
    words.push(`gave ${typeof result === "object" ? "an object" : String(result)}`);
  } catch (error) {
    words.push(`threw ${error instanceof Error ? error.message : String(error)}`);
  }
  return words.join(", ");
}

Deno.test("awaits of the kernel do what the language's own do, and leave nothing that a stop would find", async (t) => {
  for (const [name, make] of Object.entries(MADE)) {
    await t.step(name, async () => {
      const cells = new Cells();
      cells.enter(1);
      const ours: Await = async (value) => await cells.awaiting(value);
      assertEquals(await outcome(ours, make), await outcome(native, make));
      assertEquals(cells.stop(1), 0);
    });
  }
});

Deno.test("a stop reaches what waits for a promise within another, and for an item that is none yet", async (t) => {
  const never = new Promise<never>(() => {});
  const waiting: Readonly<Record<string, (cells: Cells) => Promise<unknown>>> = {
    "one that never calls": async (cells) => await cells.awaiting<unknown>({ then() {} }),
    "a promise in a thenable": async (cells) =>
      await cells.awaiting({ then: (resolve: (value: unknown) => void) => resolve(never) }),
    "a function": async (cells) => await cells.awaiting<unknown>(Object.assign(() => {}, { then() {} })),
    "an item of a list": async (cells) => {
      for await (const _ of cells.iterating([1, never]));
    },
    "an item of an iterator of one's own": async (cells) => {
      for await (const _ of cells.iterating({ [Symbol.asyncIterator]: () => ({ next: () => never }) }));
    },
  };
  for (const [name, wait] of Object.entries(waiting)) {
    await t.step(name, async () => {
      const cells = new Cells();
      cells.enter(1);
      const ended = wait(cells).then(() => "ended", (error) => error.name);
      await new Promise((resolve) => setTimeout(resolve, 5));
      assertEquals(cells.stop(1), 1);
      assertEquals(await ended, "Interrupted");
    });
  }
});

Deno.test("a loop over items ends its iterator as the language does", async () => {
  const said = async (over: (items: Iterable<unknown>) => AsyncIterable<unknown> | Iterable<unknown>) => {
    const words: string[] = [];
    const items = () => ({
      [Symbol.iterator]: () => {
        let count = 0;
        return {
          next: () => {
            words.push("next");
            count++;
            return { done: count > 3, value: count === 2 ? Promise.resolve(20) : count };
          },
          return: () => {
            words.push("return");
            return { done: true, value: undefined };
          },
        };
      },
    });
    for await (const item of over(items())) words.push(String(item));
    for await (const item of over(items())) {
      words.push(String(item));
      break;
    }
    try {
      for await (const item of over([Promise.reject(new Error("item"))])) words.push(String(item));
    } catch (error) {
      words.push((error as Error).message);
    }
    for await (const letter of over("ab")) words.push(String(letter));
    return words.join(" ");
  };
  const cells = new Cells();
  cells.enter(1);
  assertEquals(await said((items) => cells.iterating(items)), await said((items) => items));
});

Deno.test("a stop while a cell shows its value, or its tests run, ends the cell as stopped", async (t) => {
  await using kernel = await startProxy();
  const NEVER = "new Promise(() => {})";
  for (
    const code of [
      `({ [Symbol.for("Jupyter.display")]: () => ${NEVER} })`,
      `({ [Symbol.for("Jupyter.display")]: () => ({ then() {} }) })`,
      `({ [Symbol.for("Jupyter.display")]() { for (;;); } })`,
      `Deno.test("endless", () => { for (;;); })`,
    ]
  ) {
    await t.step(code, async () => {
      const begun = Promise.withResolvers<void>();
      const running = kernel.client.execute(`console.log("begun"); ${code}`, {
        onOutput: () => begun.resolve(),
      });
      await begun.promise;
      await new Promise((resolve) => setTimeout(resolve, 100));
      await kernel.client.request("interrupt_request", {}, "control");
      const { status, reply } = await running;
      assertEquals([status, reply.ename], ["error", "Interrupted"]);
      const { outputs } = await kernel.client.execute("6 * 7");
      assertEquals(
        outputs.map(({ content }) =>
          stripVTControlCharacters((content.data as Record<string, string>)["text/plain"])
        ),
        ["42"],
      );
    });
  }
});

Deno.test("timers call as the stock kernel's do: with their object, their words and in their order", async () => {
  const code = `var said = [];
    setTimeout(function (...words) { said.push(["timeout", this.constructor.name, ...words]) }, 60, "a", 1);
    setImmediate(function (...words) { said.push(["immediate", this.constructor.name, ...words]) }, "b");
    var timer = setInterval(function () { said.push(["interval", this === timer]); clearInterval(this) }, 120);
    var signal = AbortSignal.timeout(200);
    await new Promise((done) => signal.addEventListener("abort", done));
    said.push([signal.aborted, signal instanceof AbortSignal, signal.reason.name]);
    var { setTimeout: other, setImmediate: at } = (await import("node:timers")).default;
    said.push([other === setTimeout, at === setImmediate, typeof Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 1).value]);
    console.log(JSON.stringify(said))`;
  const said = async (kernel: KernelProcess) => (await kernel.client.execute(code)).outputs[0].content.text;
  await using ours = await startProxy();
  await using stock = await KernelProcess.start();
  assertEquals(await said(ours), await said(stock));
});
