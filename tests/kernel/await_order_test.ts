// Awaits that may run many times: programs with them do the same in the same order as in a module, whether awaits look first
// or wait at once, a stop reaches them, and functions do without the kernel where there is none.

import { parseCell } from "../../src/kernel/cell/parser.ts";
import { rewriteCell } from "../../src/kernel/cell/rewrite.ts";
import { Cells } from "../../src/kernel/prelude/cells.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";

type Say = (...words: unknown[]) => void;
type Program = (say: Say) => Promise<unknown>;

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const BRIDGE = "__attune_kernel__";

/** The code of a cell as it runs. */
function rewritten(code: string, number = 7): string {
  const cell = parseCell(code);
  assert("statements" in cell, code);
  return rewriteCell(code, cell, number).code;
}

/** A program of a text that ends in a function `main`, with the kernel's part, or with none. */
function programOf(text: string, cells: Cells | null): Program {
  const bridge = cells && {
    ...{ awaiting: cells.awaiting, looping: cells.looping, iterating: cells.iterating },
    ...{ begin: cells.begin, end: cells.end, rest: cells.rest, out: cells.out },
    enter() {},
    failed: (error: unknown) => error,
  };
  const parameters = bridge ? [BRIDGE, "say"] : ["say"];
  const make = new Function(...parameters, `${text}\nreturn main()`);
  return (say) => make(...(bridge ? [bridge] : []), say);
}

/** Has awaits look first: many in a row are quick. */
async function heat(cells: Cells): Promise<void> {
  const work =
    "async function main() { for (let i = 0; i < 400; i++) { try { await null } finally { say(i) } } }";
  await programOf(rewritten(work), cells)(() => {});
}

/** Random programs, of which each waits in one place at a time. */
class Programs {
  readonly #random: Random;
  #places = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  text(): string {
    const functions = [0, 1, 2].map((n) =>
      `async function f${n}(d) { if (d < 0) return ${n}; ${this.#statement(1)}; return d }`
    );
    return `${functions.join("\n")}
      async function main() { try { ${this.#statement(2)} ${
      this.#statement(2)
    } } catch (e) { say("E", String(e)) } }`;
  }

  #value(depth: number): string {
    const n = this.#random.below(9);
    switch (this.#random.below(8)) {
      case 0:
        return `${n}`;
      case 1:
        return `Promise.resolve(${n})`;
      case 2:
        return `Promise.reject(${n})`;
      case 3:
        return `{ then(resolve) { resolve(${n}) } }`;
      case 4:
        return `f${n % 3}(typeof d === "number" ? d - 1 : 1)`;
      case 5:
        return "Symbol.iterator.description";
      case 6:
        return `(async () => { ${depth > 0 ? this.#statement(depth - 1) : ""}; return ${n} })()`;
      default:
        return `(await ${depth > 0 ? this.#value(depth - 1) : "1"})`;
    }
  }

  #statement(depth: number): string {
    const place = ++this.#places, inner = () => depth > 0 ? this.#statement(depth - 1) : `say(${place});`;
    switch (this.#random.below(8)) {
      case 0:
        return `say(${place}, await ${this.#value(depth)});`;
      case 1:
        return `await ${this.#value(depth)}; say(${place});`;
      case 2:
        return `try { say(${place}, await ${
          this.#value(depth)
        }); ${inner()} } catch (e) { say("c${place}", String(e)) }`;
      case 3:
        return `try { await ${this.#value(depth)} } catch (e) { await ${
          this.#value(depth)
        } } finally { await 1; say("f${place}") }`;
      case 4:
        return `if (${this.#random.below(2)}) { ${inner()} } else { say(${place}) }`;
      case 5:
        return `for (let i = 0; i < 3; i++) { if (i === ${this.#random.below(4)}) { continue } ${inner()} }`;
      case 6:
        return `for (const x of [1, 2]) { try { say(${place}, x, await ${
          this.#value(depth)
        }) } finally { say("l${place}") } }`;
      default:
        return `${inner()}; ${inner()};`;
    }
  }
}

Deno.test("programs with awaits do the same in the same order as in a module, whether awaits look first or not", async () => {
  const cells = new Cells();
  let looked = 0;
  const begin = cells.begin;
  const counting: Cells = Object.assign(Object.create(cells), {
    ...{ awaiting: cells.awaiting, looping: cells.looping, iterating: cells.iterating },
    ...{ end: cells.end, rest: cells.rest, out: cells.out },
    begin: (value: unknown, place: number, isTop?: unknown) => {
      const given = begin(value, place, isTop);
      if (typeof given === "symbol") looked++;
      return given;
    },
  });
  const said = async (run: Program): Promise<string> => {
    const words: string[] = [];
    await run((...more) => {
      words.push(more.join());
      if (words.length > 2000) throw new Error("too much");
    });
    return words.join(" ");
  };
  for (let seed = 1; seed <= (IS_LONG ? 3000 : 150); seed++) {
    const text = new Programs(seed).text();
    const expected = await said(programOf(text, null));
    cells.enter(seed);
    assertEquals(await said(programOf(rewritten(text, seed), counting)), expected, text);
    await heat(cells);
    assertEquals(await said(programOf(rewritten(text, seed), counting)), expected, text);
    assertEquals(cells.stop(seed), 0, "nothing is left that a stop would find");
  }
  assert(looked > 100, `${looked} awaits have looked`);
});

Deno.test("a stop reaches an await that has looked and found nothing, once, and what tidies up runs", async () => {
  const cells = new Cells();
  const said: unknown[] = [];
  const late = Promise.withResolvers<number>();
  const say: Say = (...words) => void said.push(...words);
  const text = rewritten(`
    async function wait(p) { try { return await p } catch (e) { say(e.name); await null; return 7 } finally { say("tidy") } }
    async function main() { say(await wait(say.late)) }`);
  cells.enter(1);
  await heat(cells);
  const running = programOf(text, cells)(Object.assign(say, { late: late.promise }));
  const ended = running.catch((error) => say(error.name, "in main"));
  await sleep(5);
  assertEquals(cells.stop(1), 2);
  await ended;
  late.resolve(1);
  await sleep(5);
  assertEquals(said, ["Interrupted", "tidy", "Interrupted", "in main"]);
});

Deno.test("functions of a cell do without the kernel where there is none", async () => {
  const text = rewritten(`
    async function f(a) { "use strict"; let sum = 0; for (const x of a) { try { sum += await x } finally { await null } } return sum }
    async function main() {
      const g = async (x) => ({ a: await x, b: [await (1, 2)] });
      const h = async x => (await (await x));
      const deep = async () => await (async () => await h(5))();
      const o = { async m(x) { return await x }, async *n() { yield await 1 } };
      class C { async #p(x) { return await x } q(x) { return this.#p(x) } static async s() { return await 4 } }
      const falsy = [];
      for (const x of [0, "", null, undefined, NaN, false]) { try { falsy.push(await x) } finally {} }
      const all = []; for await (const x of o.n()) all.push(x);
      return [await f([1, Promise.resolve(2)]), await g(3), await h(5), await deep(), await o.m(6), all, await new C().q(7), await C.s(), falsy]
    }`);
  const expected = [3, { a: 3, b: [2] }, 5, 5, 6, [1], 7, 4, [0, "", null, undefined, NaN, false]];
  const body = text.replace(/^\s*void __attune_kernel__\.enter\(7\);/, "");
  assertEquals(await programOf(body, null)(() => {}), expected);
  const cells = new Cells();
  cells.enter(1);
  await heat(cells);
  assertEquals(await programOf(text, cells)(() => {}), expected);
});
