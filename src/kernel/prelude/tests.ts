/**
 * `Deno.test` in cells: the tests of a cell run when its code has, one after the other, and what failed fails the cell.
 */

import { Deno, Error, Math, Object, performance, Reflect, String, TypeError } from "../natives.ts";

/** The argument of a test. */
interface TestContext {
  readonly name: string;
  readonly origin: string;
  step(definition: unknown, run?: unknown): Promise<boolean>;
}

interface Definition {
  readonly name: string;
  readonly ignore: boolean;
  readonly run: (context: TestContext) => unknown;
}

/** Collects and runs them. */
export class CellTests {
  #waiting: Definition[] = [];

  /** Replaces `Deno.test`. */
  install(): void {
    const add = (isIgnored: boolean) => (...words: unknown[]) => {
      this.#waiting.push(definitionOf(words, isIgnored));
    };
    const test = Object.assign(add(false), {
      only: add(false),
      ignore: add(true),
      disableSanitizers: () => {},
    });
    for (const name of ["beforeAll", "beforeEach", "afterAll", "afterEach"]) {
      const native: unknown = Reflect.get(Deno.test, name);
      if (native !== undefined) Object.assign(test, { [name]: native });
    }
    Object.defineProperty(Deno, "test", {
      value: test,
      configurable: true,
      writable: true,
      enumerable: true,
    });
  }

  /** Runs those that wait, tells of each by `write`, and throws an error that counts those that failed. */
  async run(write: (text: string) => void, tell: (error: unknown) => void): Promise<void> {
    const tests = this.#waiting;
    this.#waiting = [];
    let failed = 0;
    for (const test of tests) {
      const startedAt = performance.now();
      const isRight = test.ignore ? null : await runTest(test, write, tell, "");
      const word = isRight === null ? "ignored" : isRight ? "ok" : "FAILED";
      write(`${test.name} ... ${word} (${Math.round(performance.now() - startedAt)} ms)\n`);
      if (isRight === false) failed++;
    }
    if (failed > 0) throw new Error(`${failed} of ${tests.length} tests failed`);
  }
}

async function runTest(
  { name, run }: Definition,
  write: (text: string) => void,
  tell: (error: unknown) => void,
  indent: string,
): Promise<boolean> {
  let isRight = true;
  const step = async (...words: unknown[]): Promise<boolean> => {
    const inner = definitionOf(words, false);
    const isStepRight = inner.ignore || await runTest(inner, write, tell, `${indent}  `);
    write(`${indent}  ${inner.name} ... ${inner.ignore ? "ignored" : isStepRight ? "ok" : "FAILED"}\n`);
    isRight &&= isStepRight;
    return isStepRight;
  };
  try {
    await run({ name, origin: "cell", step });
  } catch (error) {
    tell(error);
    return false;
  }
  return isRight;
}

/** Takes every form in which Deno lets a test be written. */
function definitionOf(words: readonly unknown[], isIgnored: boolean): Definition {
  const run = words.findLast((word) => typeof word === "function");
  const options = words.find((word) => typeof word === "object" && word !== null) ?? {};
  const own: unknown = Reflect.get(options, "fn"), text = words.find((word) => typeof word === "string");
  const fn = typeof run === "function" ? run : own;
  if (typeof fn !== "function") throw new TypeError("Deno.test: there is no function, expected one");
  const given: unknown = Reflect.get(options, "name");
  return {
    name: String(text ?? given ?? (fn.name || "test")),
    ignore: isIgnored || Reflect.get(options, "ignore") === true,
    run: (context) => fn(context),
  };
}
