// The benchmarks of the cluster share this module: summaries of times, and how many bytes processes hold.

/** Median and 99th percentile of milliseconds. */
export function summary(ms: readonly number[]): string {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))];
  return `${at(0.5).toFixed(2)}, ${at(0.99).toFixed(1)}`;
}

/** Milliseconds of `rounds` calls, after ten that are not counted. */
export async function timed(rounds: number, act: (round: number) => Promise<unknown>): Promise<number[]> {
  const ms: number[] = [];
  for (let round = 0; round < rounds + 10; round++) {
    const since = performance.now();
    await act(round);
    if (round >= 10) ms.push(performance.now() - since);
  }
  return ms;
}

/** Seconds that something took, with what it gave. */
export async function seconds<T>(act: () => Promise<T>): Promise<[number, T]> {
  const since = performance.now(), result = await act();
  return [(performance.now() - since) / 1000, result];
}

/** Bytes of memory that a process has on Linux; NaN elsewhere. */
export async function residentBytes(pid: number): Promise<number> {
  try {
    const text = await Deno.readTextFile(`/proc/${pid}/status`);
    return 1024 * Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]);
  } catch {
    return NaN;
  }
}

/**
 * Seconds that a process has computed on Linux; NaN elsewhere. Other processes of the machine add nothing to
 * them.
 */
export async function computedSeconds(pid: number): Promise<number> {
  try {
    const fields = (await Deno.readTextFile(`/proc/${pid}/stat`)).replace(/^.*\) /, "").split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return NaN;
  }
}

/**
 * Quick random numbers, so that making a million rows takes no time beside loading them: Marsaglia's xorshift
 * with 32 bits.
 */
export class QuickRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  /** A whole number below `count`. */
  below(count: number): number {
    return this.#next() % count;
  }

  /** Numbers from −1 to 1. */
  row(length: number): Float32Array<ArrayBuffer> {
    const row = new Float32Array(length);
    for (let at = 0; at < length; at++) row[at] = this.#next() / 2 ** 31 - 1;
    return row;
  }

  #next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }
}
