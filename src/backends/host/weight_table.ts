/**
 * Upper bounds of weights in a byte each, by key slot and block of query slots, for one head.
 *
 * The bytes of a key slot lie side by side, a byte a block. 0 says that no query slot of the block gives the
 * key any weight; a code c ≥ 1 stands for 2^((c − 255) / 4), so 255 for 1, and a weight is rounded up to the
 * next code.
 */

/** Codes in a factor of two. */
const STEPS = 4;
/** The code of the weight 1. */
const ONE = 255;
/** The code of 2^−50: so little weight may be what rounding made of less, or of more. */
const LEAST = ONE - 50 * STEPS;

/** The weight of each code. */
export const WEIGHTS: Float64Array = Float64Array.from(
  { length: ONE + 1 },
  (_, code) => code === 0 ? 0 : 2 ** ((code - ONE) / STEPS),
);

/** The code of a weight whose natural logarithm is at most `log`. */
export function codeOfLog(log: number): number {
  if (!(log < 0)) return ONE;
  return Math.max(LEAST, ONE + Math.ceil(STEPS * Math.LOG2E * log));
}

/** The codes of one head. */
export class WeightTable {
  /** By key slot, `stride` codes. */
  codes: Uint8Array = new Uint8Array(0);
  /** Blocks that there is room for. */
  stride = 0;
  #keys = 0;

  /** Bytes for `keys` key slots and `blocks` blocks. */
  static bytesOf(keys: number, blocks: number): number {
    return keys * blocks;
  }

  get bytes(): number {
    return this.codes.byteLength;
  }

  /** Makes room for key slots below `keys` and blocks below `blocks`. */
  reserve(keys: number, blocks: number): void {
    if (keys <= this.#keys && blocks <= this.stride) return;
    const room = keys <= this.#keys ? this.#keys : Math.max(keys, Math.ceil(this.#keys * 1.5));
    const stride = blocks <= this.stride ? this.stride : Math.max(blocks, Math.ceil(this.stride * 1.5));
    const codes = new Uint8Array(room * stride);
    for (let slot = 0; slot < this.#keys; slot++) {
      codes.set(this.codes.subarray(slot * this.stride, (slot + 1) * this.stride), slot * stride);
    }
    this.codes = codes;
    this.stride = stride;
    this.#keys = room;
  }

  /** Lets the bound of a key's weight in a block grow to a code. */
  raise(slot: number, block: number, code: number): void {
    const at = slot * this.stride + block;
    if (code > this.codes[at]) this.codes[at] = code;
  }

  /** Lets the bounds of a key's weights in `count` blocks from one on grow to those of logarithms. */
  raiseRun(
    slot: number,
    block: number,
    { logs, first, step, count }: {
      readonly logs: Float64Array;
      readonly first: number;
      readonly step: number;
      readonly count: number;
    },
  ): void {
    const { codes } = this, factor = STEPS * Math.LOG2E;
    // It does what `codeOfLog` does, without a call: it runs for every pair of a block and a new key.
    for (let at = first, to = slot * this.stride + block, end = to + count; to < end; at += step, to++) {
      const log = logs[at];
      if (log === -Infinity) continue;
      let code = ONE;
      if (log < 0) {
        code += Math.ceil(factor * log);
        if (code < LEAST) code = LEAST;
      }
      if (code > codes[to]) codes[to] = code;
    }
  }

  /** Sets the bounds of a key's weights to no weight. */
  empty(slot: number): void {
    this.codes.fill(0, slot * this.stride, (slot + 1) * this.stride);
  }

  /** Lets the weights of all keys in a block be anything up to 1. */
  giveUp(block: number, keys: number): void {
    for (let slot = 0; slot < keys; slot++) this.codes[slot * this.stride + block] = ONE;
  }
}
