// Times looks at all rows after each edit: exact reads, stale answers without bounds and with certified ones,
// in one run on the same stream. Run it with `deno task bench:peek`; --quick looks a fifth as often, --backend
// names one.
//
// Ways are measured in turns of fifty looks, so that other work of the machine meets all of them.

import { parseArgs } from "node:util";
import { median, quantile } from "simple-statistics";
import { DynamicAttention } from "../mod.ts";
import { Random } from "../testing/random.ts";
import { describeMachine } from "./machine.ts";

interface Case {
  readonly name: string;
  readonly queries: number;
  readonly keys: number;
  /** Different keys that have changed before the first look. */
  readonly pending: number;
  /** How many keys are edited in turn. */
  readonly edited: number;
  readonly edit: (live: DynamicAttention, slot: number, random: Random) => void;
}

const DIM = 64;
const WAYS = ["read", "peek, no bounds", "peek"] as const;
const TURN = 50;

function entryEdit(live: DynamicAttention, slot: number, random: Random): void {
  live.addToKey(slot, random.below(DIM), 1e-3 * random.normal());
}

function rowEdit(live: DynamicAttention, slot: number, random: Random): void {
  live.setKey(slot, random.row(DIM));
  live.setValue(slot, random.row(DIM));
}

async function measure(of: Case, looks: number, backend: "array" | "wasm"): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>();
  const begun = await Promise.all(WAYS.map(async (way) => {
    const random = new Random(7);
    const live = await DynamicAttention.create({
      query: random.rows(of.queries, DIM),
      key: random.rows(of.keys, DIM),
      value: random.rows(of.keys, DIM),
      backend,
      threads: 1,
      lazyThreshold: Infinity,
    });
    await live.read();
    for (let slot = 0; slot < of.pending; slot++) of.edit(live, slot, random);
    times.set(way, []);
    return { way, live, random };
  }));
  const into = new Float32Array(of.queries * DIM);
  let edits = 0;
  for (let look = -8 * TURN; look < looks; look += TURN) {
    for (const { way, live, random } of begun) {
      const found = times.get(way) ?? [];
      for (let at = 0; at < TURN; at++) {
        of.edit(live, (edits + at) % of.edited, random);
        const start = performance.now();
        if (way === "read") await live.read(undefined, { into });
        else await live.peek(undefined, { into, bounds: way === "peek" });
        if (look >= 0) found.push(1000 * (performance.now() - start));
      }
    }
    edits += TURN;
  }
  for (const { live } of begun) await live.dispose();
  return times;
}

const { values } = parseArgs({
  args: Deno.args,
  options: { quick: { type: "boolean", default: false }, backend: { type: "string", default: "wasm" } },
});
const looks = values.quick ? 400 : 2000;
const backend = values.backend === "array" ? "array" : "wasm";
const { cpu, cores } = await describeMachine();
console.log(
  `${cpu}, ${cores} cores, Deno ${Deno.version.deno}; ${backend} on one thread, d = dv = ${DIM}; µs a look`,
);
const sizes = { queries: 128, keys: 4096 };
const cases: Case[] = [
  { name: "small entry edits of 64 keys", ...sizes, pending: 0, edited: 64, edit: entryEdit },
  { name: "small entry edits of all keys", ...sizes, pending: 0, edited: 4096, edit: entryEdit },
  { name: "row edits of 64 keys", ...sizes, pending: 0, edited: 64, edit: rowEdit },
  { name: "row edits, 1,000 keys pending", ...sizes, pending: 1000, edited: 1000, edit: rowEdit },
  { name: "row edits of 64 keys", queries: 4096, keys: 4096, pending: 0, edited: 64, edit: rowEdit },
];
for (const of of cases) {
  const count = of.queries > 1000 ? looks / 4 : looks;
  const times = await measure(of, Math.ceil(count / TURN) * TURN, backend);
  const exact = median(times.get("read") ?? []), stale = median(times.get("peek, no bounds") ?? []);
  console.log(`\n${of.queries} × ${of.keys}, ${of.name}`);
  for (const [way, found] of times) {
    const [low, high] = quantile(found, [0.25, 0.75]), middle = median(found);
    console.log(
      `  ${way.padEnd(16)} ${middle.toFixed(1)} (${low.toFixed(1)}–${high.toFixed(1)}); ` +
        `${(middle / exact).toFixed(2)} × read, ${(middle / stale).toFixed(2)} × no bounds`,
    );
  }
}
