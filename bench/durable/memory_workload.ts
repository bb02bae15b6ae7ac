// One memory, kept in different ways: n rows of a key and a value that are replaced, singly and by 64, each
// time until they are kept as the way promises it; then the memory is opened anew and a row is compared.

export const KEYS = 16_384, DIM = 64, BATCH = 64;

/** What a way of keeping offers. */
export interface Kept {
  /** Replaces rows; resolves when they are kept. */
  replace(slots: readonly number[], rows: readonly Float32Array[]): Promise<void>;
  /** A row of 2 · DIM numbers, a key and its value. */
  row(slot: number): Promise<ArrayLike<number>>;
  close(): Promise<void>;
}

/** A way of keeping a memory in a folder. */
export interface Way {
  readonly name: string;
  /** What "kept" means, in words. */
  readonly promise: string;
  /** Makes the memory, or opens it where `rows` is null. */
  open(folder: string, rows: Float32Array[] | null): Promise<Kept>;
}

/** Rows that were replaced. */
export interface Replacements {
  readonly rowsPerSecond: number;
  /** Milliseconds of each time. */
  readonly times: readonly number[];
}

/** What was measured of a way. */
export interface MemoryCosts {
  readonly name: string;
  readonly promise: string;
  readonly createMs: number;
  /** One row after another. */
  readonly single: Replacements;
  /** 64 at a time. */
  readonly batched: Replacements;
  readonly openMs: number;
  readonly diskBytes: number;
}

/** Uniform numbers whose sequence never changes. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed >>> 0;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 31 - 1;
  }
}

/** Measures one way for about `seconds` a part. */
export async function measureWay(way: Way, folder: string, seconds: number): Promise<MemoryCosts> {
  const source = numbers(1);
  const row = () => Float32Array.from({ length: 2 * DIM }, () => source.next().value as number);
  const rows = Array.from({ length: KEYS }, row);
  let start = performance.now();
  let kept = await way.open(folder, rows);
  const createMs = performance.now() - start;
  let next = 0;
  const replaceMany = async (count: number) => {
    const times: number[] = [];
    const end = performance.now() + 1000 * seconds;
    let done = 0;
    while (performance.now() < end || times.length < 3) {
      const slots = Array.from({ length: count }, () => (next = (next + 7919) % KEYS));
      const fresh = slots.map(row);
      slots.forEach((slot, at) => rows[slot] = fresh[at]);
      const before = performance.now();
      await kept.replace(slots, fresh);
      times.push(performance.now() - before);
      done += count;
    }
    // Making up rows is nobody's work.
    const rowsPerSecond = 1000 * done / times.reduce((sum, time) => sum + time, 0);
    return { rowsPerSecond, times };
  };
  const single = await replaceMany(1), batched = await replaceMany(BATCH);
  await kept.close();
  const diskBytes = sizeOf(folder);
  start = performance.now();
  kept = await way.open(folder, null);
  const openMs = performance.now() - start;
  for (const slot of [0, next, KEYS - 1]) {
    const found = await kept.row(slot);
    const isSame = rows[slot].every((number, at) => Math.fround(found[at]) === number);
    if (!isSame) throw new Error(`${way.name}: row ${slot} is not what was written`);
  }
  await kept.close();
  return { name: way.name, promise: way.promise, createMs, single, batched, openMs, diskBytes };
}

/** Bytes of all files in a folder. */
export function sizeOf(folder: string): number {
  let bytes = 0;
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    bytes += entry.isDirectory ? sizeOf(path) : Deno.statSync(path).size;
  }
  return bytes;
}
