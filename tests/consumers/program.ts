// A user's program, bundled and run by Node and by a browser: it computes, edits, saves and loads with the public
// names alone, and prints what it saw as JSON.

import { attention, DynamicAttention, InputError } from "@attune/attention";
import { OnlineLearner } from "@attune/attention/learning";
import { fromNpy } from "@attune/attention/store";

/** What the program saw. */
export interface Seen {
  readonly query: number[][];
  readonly key: number[][];
  readonly value: number[][];
  /** By backend: answers after edits, and after a snapshot was loaded. */
  readonly answers: Record<string, { readonly edited: number[]; readonly loaded: number[] }>;
  readonly oneShot: number[];
  /** Whether two threads gave the bits of one, and how many there were. */
  readonly threads: { readonly count: number; readonly hasSameBits: boolean };
  readonly learned: number[];
  readonly halves: number[];
  /** What a view of a detached buffer was refused with. */
  readonly refusal: string;
}

const QUERIES = 6, KEYS = 24, COLUMNS = 4;

function rows(count: number, columns: number, phase: number): number[][] {
  return Array.from(
    { length: count },
    (_, i) => Array.from({ length: columns }, (_, c) => Math.fround(Math.sin((i * columns + c) * phase + 1))),
  );
}

async function see(): Promise<Seen> {
  const query = rows(QUERIES, COLUMNS, 1), key = rows(KEYS, COLUMNS, 0.7), value = rows(KEYS, COLUMNS, 0.3);
  const later = rows(3, COLUMNS, 2);
  const answers: Record<string, { edited: number[]; loaded: number[] }> = {};
  for (const backend of ["array", "wasm"] as const) {
    const live = await DynamicAttention.create({ query, key, value, backend });
    await live.read();
    live.setKey(3, later[0]);
    live.setValue(3, later[1]);
    live.delete(KEYS - 1);
    live.insert(later[1], later[2]);
    const edited = Array.from((await live.read()).data);
    const again = await DynamicAttention.load(await live.save(), { backend });
    await live.dispose();
    answers[backend] = { edited, loaded: Array.from((await again.read()).data) };
    await again.dispose();
  }
  key[3] = later[0];
  value[3] = later[1];
  key[KEYS - 1] = later[1];
  value[KEYS - 1] = later[2];
  return {
    ...{ query, key, value, answers },
    oneShot: Array.from((await attention({ query, key, value })).data),
    threads: await seeThreads(),
    learned: await seeLearning(),
    halves: Array.from(fromNpy(npyOfHalves()).data),
    refusal: await seeRefusal(),
  };
}

/** Work that is large enough to be shared. */
async function seeThreads(): Promise<Seen["threads"]> {
  const shape = [2048, 128] as const;
  const matrix = (phase: number) => ({
    data: Float32Array.from({ length: shape[0] * shape[1] }, (_, at) => Math.sin(at * phase)),
    shape,
  });
  const bits: Uint32Array[] = [];
  let count = 0;
  for (const threads of [1, 2]) {
    const live = await DynamicAttention.create({
      ...{ query: matrix(1), key: matrix(0.7), value: matrix(0.3), backend: "wasm" as const, threads },
    });
    bits.push(new Uint32Array((await live.read()).data.buffer));
    count = live.stats().threads;
    await live.dispose();
  }
  return { count, hasSameBits: bits[0].every((word, at) => word === bits[1][at]) };
}

async function seeLearning(): Promise<number[]> {
  const live = await DynamicAttention.create({ query: [[0]], key: [[1], [2]], value: [[10], [20]] });
  const learner = new OnlineLearner(live, { rate: 1 });
  await learner.learnOne({ query: 0 }, 16);
  const again = await OnlineLearner.load(await learner.save(), { rate: 1 });
  const learned = [await learner.predictOne({ query: 0 }), await again.predictOne({ query: 0 })];
  await again.live.dispose();
  await live.dispose();
  return learned.map(([number]) => number);
}

/** The file of 1, −2, 65504 and 2⁻²⁴ as float16. */
function npyOfHalves(): Uint8Array {
  const header = "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2), }".padEnd(117) + "\n";
  const halves = [0x3c00, 0xc000, 0x7bff, 0x0001].flatMap((bits) => [bits & 255, bits >> 8]);
  return Uint8Array.from([
    ...[0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, header.length, 0],
    ...new TextEncoder().encode(header),
    ...halves,
  ]);
}

async function seeRefusal(): Promise<string> {
  const row = new Float32Array(1);
  structuredClone(row, { transfer: [row.buffer] });
  try {
    await attention({ query: [row], key: [[1]], value: [[1]] });
    return "";
  } catch (error) {
    return error instanceof InputError ? error.message : `another error: ${error}`;
  }
}

const seen = JSON.stringify(await see());
Reflect.set(globalThis, "seen", seen);
if (!("document" in globalThis)) console.log(seen);
