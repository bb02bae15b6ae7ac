// usearch: an index in memory, which `save` writes whole. To keep an edit is to save; its package offers
// nothing else.

import { DIM, type Way } from "./memory_workload.ts";

interface UsearchIndex {
  add(keys: BigUint64Array, vectors: Float32Array): void;
  remove(keys: BigUint64Array): unknown;
  save(path: string): void;
  load(path: string): void;
  search(vector: Float32Array, count: number, threads: number): { readonly keys: BigUint64Array };
  size(): number;
}
interface Usearch {
  Index: new (options: { metric: string; dimensions: number; quantization: string }) => UsearchIndex;
  MetricKind: { L2sq: string };
  ScalarKind: { F32: string };
}

export const USEARCH: Way = {
  name: "usearch, save and sync",
  promise: "on disk",
  async open(folder, rows) {
    const specifier = "usearch";
    const { Index, MetricKind, ScalarKind }: Usearch = await import(specifier);
    const index = new Index({ metric: MetricKind.L2sq, dimensions: 2 * DIM, quantization: ScalarKind.F32 });
    const file = `${folder}/index.usearch`;
    Deno.mkdirSync(folder, { recursive: true });
    const newest = new Map<number, Float32Array>();
    const keep = async () => {
      index.save(`${file}.tmp`);
      using written = await Deno.open(`${file}.tmp`, { write: true });
      await written.sync();
      await Deno.rename(`${file}.tmp`, file);
      using parent = await Deno.open(folder);
      await parent.sync();
    };
    const add = (slots: readonly number[], fresh: readonly Float32Array[]) => {
      const all = new Float32Array(fresh.length * 2 * DIM);
      fresh.forEach((row, at) => all.set(row, at * 2 * DIM));
      index.add(BigUint64Array.from(slots, BigInt), all);
      fresh.forEach((row, at) => newest.set(slots[at], row));
    };
    if (rows) {
      add(rows.map((_, slot) => slot), rows);
      await keep();
    } else index.load(file);
    return {
      async replace(slots, fresh) {
        index.remove(BigUint64Array.from(slots, BigInt));
        add(slots, fresh);
        await keep();
      },
      // Its package gives no row back, only what is nearest to one; the caller must hold the rows as well.
      row(slot) {
        const asked = expected.get(slot);
        if (!asked) throw new Error("a row must be known to be asked for");
        const { keys } = index.search(asked, 1, 1);
        return Promise.resolve(keys[0] === BigInt(slot) ? asked : new Float32Array(2 * DIM));
      },
      close() {
        for (const [slot, row] of newest) expected.set(slot, row);
        return Promise.resolve();
      },
    };
  },
};

const expected = new Map<number, Float32Array>();
