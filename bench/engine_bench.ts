// What the engine's operations cost on this machine, and where keeping attention current loses to recomputing it.
// Prints tables and writes JSON to bench/results.json, or to the file named as the first argument.

import { attention, DynamicAttention } from "../mod.ts";
import { Random } from "../tests/support/random.ts";
import { type CostConstants, measureCosts } from "./cost_constants.ts";
import { short, time, type Timing } from "./stopwatch.ts";

const HEAD_DIM = 64, VALUE_DIM = 64, QUERIES = 128;
const KEY_COUNTS = [256, 1024, 4096, 16384];

interface Row {
  readonly keys: number;
  readonly recompute: Timing;
  readonly rebuild: Timing;
  readonly editAndRead: Timing;
  readonly editsAndRead: Timing;
  readonly editAndReadFew: Timing;
  readonly editAndPeek: Timing;
  readonly breakEven: number;
}

const random = new Random(1);
const matrix = (rows: number, columns: number) => ({
  data: random.row(rows * columns),
  shape: [rows, columns] as const,
});

async function measure(keys: number): Promise<Row> {
  const options = {
    query: matrix(QUERIES, HEAD_DIM),
    key: matrix(keys, HEAD_DIM),
    value: matrix(keys, VALUE_DIM),
  };
  const fresh = () => DynamicAttention.create({ ...options, lazyThreshold: Infinity, onThreshold: "patch" });
  const few = Array.from({ length: 16 }, (_, i) => i);
  // Rows are drawn beforehand, so that no random number is timed; their number shares no factor with that of the
  // keys, so that no key is given the row that it has.
  const pool = random.rows(257, HEAD_DIM);
  let drawn = 0;
  const edit = (live: DynamicAttention) => live.setKey((drawn * 7919) % keys, pool[drawn++ % pool.length]);

  await using patched = await fresh();
  await using overlaid = await fresh();
  await using stale = await fresh();
  const recompute = await time(async () => void await attention(options));
  const rebuild = await time(() => patched.rebuild());
  const editAndRead = await time(async () => {
    edit(patched);
    await patched.read();
  });
  const editsAndRead = await time(async () => {
    for (let count = 0; count < 64; count++) edit(patched);
    await patched.read();
  });
  const editAndReadFew = await time(async () => {
    edit(overlaid);
    await overlaid.read(few);
  });
  const editAndPeek = await time(async () => {
    edit(stale);
    await stale.peek();
    if (stale.stats().pending >= 64) await stale.flush();
  });
  // The cost of T edits before a read is about a + b·T; it reaches that of recomputing at the break-even.
  const slope = (editsAndRead.median - editAndRead.median) / 63;
  const breakEven = Math.max(1, (recompute.median - editAndRead.median) / slope + 1);
  return { keys, recompute, rebuild, editAndRead, editsAndRead, editAndReadFew, editAndPeek, breakEven };
}

function print(costs: CostConstants, rows: Row[]): void {
  console.log(
    `\nCost constants of the array backend, in plain multiply-adds (${short(costs.multiplyAddNs)} ns):`,
  );
  console.log(`  exp ${short(costs.exponential)}, compensated multiply-add ${short(costs.compensatedAdd)}`);
  console.log(
    `\nm = ${QUERIES} queries, d = dv = ${HEAD_DIM}; median milliseconds [first … third quartile]\n`,
  );
  const columns: [string, (row: Row) => string][] = [
    ["keys", (row) => String(row.keys)],
    ["recompute", (row) => show(row.recompute)],
    ["1 edit, read all", (row) => show(row.editAndRead)],
    ["64 edits, read all", (row) => show(row.editsAndRead)],
    ["1 edit, read 16", (row) => show(row.editAndReadFew)],
    ["1 edit, peek all", (row) => show(row.editAndPeek)],
    ["ratio", (row) => short(row.recompute.median / row.editAndRead.median)],
    ["loses from … edits a read", (row) => short(row.breakEven)],
  ];
  console.log(columns.map(([name]) => name).join(" | "));
  for (const row of rows) console.log(columns.map(([, cell]) => cell(row)).join(" | "));
}

function show({ median, spread: [low, high] }: Timing): string {
  return `${short(median)} [${short(low)} … ${short(high)}]`;
}

const costs = await measureCosts();
const rows: Row[] = [];
for (const keys of KEY_COUNTS) rows.push(await measure(keys));
print(costs, rows);
const file = Deno.args[0] ?? new URL("results.json", import.meta.url);
const machine = { deno: Deno.version.deno, v8: Deno.version.v8, os: Deno.build.target };
await Deno.writeTextFile(
  file,
  JSON.stringify({ machine, costs, sizes: { QUERIES, HEAD_DIM, VALUE_DIM }, rows }, null, 2) + "\n",
);
