// A corpus of traces: what an engine answers, bit for bit, to fixed streams of edits, reads, stale looks,
// snapshots and moves. A change of structure leaves every hash as it is.

import { type BackendName, DynamicAttention, type DynamicAttentionOptions } from "../mod.ts";
import { Random } from "./random.ts";

/** Digests of all that a backend answered. */
export interface Corpus {
  /** Outputs of `read`, `peek`, `attend`, `weights`, `topKeys` and `logSumExp`. */
  readonly answers: string;
  /** Bounds, and how many edits waited. */
  readonly bounds: string;
  /** Counted work. */
  readonly work: string;
  /** Bytes of `save`. */
  readonly snapshots: string;
}

/** The settings that the streams run under. */
const SETTINGS: readonly Partial<DynamicAttentionOptions>[] = [
  {},
  { heads: 2, kvHeads: 1, softcap: 3 },
  { causal: true, window: [6, 4] },
  {
    heads: 2,
    mask: (i: number, j: number, head: number) => (3 * i + 5 * j + head) % 4 > 0 ? 0.5 : -Infinity,
  },
  { lazyThreshold: 3, onThreshold: "patch" },
  { lazyThreshold: 5, onThreshold: "rebuild", scale: 4 },
  { lazyThreshold: { error: 0.05 } },
  { lazyThreshold: { targetError: 0.1 }, scale: 2 },
];

const QUERIES = 11, KEYS = 21, HEAD_DIM = 5, VALUE_DIM = 3, STEPS = 60;

/** Collects numbers of one kind. */
class Digest {
  readonly #parts: Uint8Array[] = [];

  add(data: ArrayBufferView | readonly number[]): void {
    const view = ArrayBuffer.isView(data) ? data : Float64Array.from(data);
    this.#parts.push(new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice());
  }

  async hex(): Promise<string> {
    const bytes = await new Blob(this.#parts as BlobPart[]).arrayBuffer();
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(hash.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}

/** Plays the corpus on a backend. */
export async function playCorpus(backend: BackendName, settings = SETTINGS): Promise<Corpus> {
  const answers = new Digest(), bounds = new Digest(), work = new Digest(), snapshots = new Digest();
  for (const [seed, setting] of settings.entries()) {
    const random = new Random(100 + seed);
    const heads = setting.heads ?? 1, kvHeads = setting.kvHeads ?? heads;
    const size = random.pick([0.5, 1, 3]);
    const queryRow = () => random.row(heads * HEAD_DIM, size),
      keyRow = () => random.row(kvHeads * HEAD_DIM, size);
    const valueRow = () => random.row(kvHeads * VALUE_DIM, random.pick([1, 1, 100]));
    const rows = (count: number, make: () => Float32Array) => Array.from({ length: count }, make);
    await using live = await DynamicAttention.create({
      ...setting,
      query: rows(QUERIES, queryRow),
      key: rows(KEYS, keyRow),
      value: rows(KEYS, valueRow),
      backend,
      ...(backend === "wasm" ? { threads: 1 } : {}),
    });
    for (let step = 0; step < STEPS; step++) {
      const keys = [...live.keySlots()], queries = [...live.querySlots()];
      for (let edits = random.pick([0, 1, 1, 4]); edits > 0; edits--) {
        const slot = random.pick(keys);
        const kind = random.below(9);
        if (kind < 3) live.setKey(slot, keyRow());
        else if (kind < 5) live.setValue(slot, valueRow());
        else if (kind === 5) live.addToKey(slot, random.below(kvHeads * HEAD_DIM), random.normal());
        else if (kind === 6) {
          live.edit([{ kind: "delete", slot }, { kind: "insert", key: keyRow(), value: valueRow() }]);
        } else if (kind === 7) live.setQuery(random.pick(queries), queryRow());
        else {live.edit([{ kind: "deleteQuery", slot: queries[0] }, {
            kind: "insertQuery",
            query: queryRow(),
          }]);}
      }
      const some = queries.filter(() => random.below(3) === 0), dice = random.below(10);
      if (dice < 3) answers.add((await live.read(some)).data);
      else if (dice < 5) {
        const stale = await live.peek(random.below(2) === 0 ? undefined : some);
        answers.add(stale.output.data);
        bounds.add(stale.bounds);
        bounds.add([stale.pending, stale.epoch]);
      } else if (dice === 5) answers.add((await live.logSumExp()).data);
      else if (dice === 6) answers.add(await live.weights(queries[1], { head: heads - 1 }));
      else if (dice === 7) {
        for (const { slot, weight } of await live.topKeys(queries[2], 4)) answers.add([slot, weight]);
      } else if (dice === 8 && !setting.mask) answers.add((await live.attend([queryRow(), queryRow()])).data);
      else if (step % 20 === 19) snapshots.add(await live.save());
    }
    answers.add((await live.read()).data);
    const { multiplyAdds, exponentials, rowsBuilt, rowsPatched, refreshes, rebuilds } = live.stats();
    work.add([multiplyAdds, exponentials, rowsBuilt, rowsPatched, refreshes, rebuilds]);
  }
  return {
    answers: await answers.hex(),
    bounds: await bounds.hex(),
    work: await work.hex(),
    snapshots: await snapshots.hex(),
  };
}
