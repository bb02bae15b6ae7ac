/**
 * A growing table of float32 numbers, wherever they lie: in an array of their own, or in a memory that kernels compute in.
 */

/** Numbers of which number i lies at `numbers[start + i]`; both fields change in `reserve` alone. */
export interface NumberTable {
  readonly numbers: Float32Array;
  readonly start: number;
  /** Numbers that there is room for. */
  readonly capacity: number;
  /** Makes room for `count` numbers, of which new ones are 0, and wipes what it leaves. Throws before anything changes. */
  reserve(count: number): void;
}

/** Numbers in an array of their own. */
export class ArrayTable implements NumberTable {
  readonly start = 0;
  numbers = new Float32Array(0);

  get capacity(): number {
    return this.numbers.length;
  }

  reserve(count: number): void {
    if (count <= this.numbers.length) return;
    const numbers = new Float32Array(Math.max(count, 2 * this.numbers.length));
    numbers.set(this.numbers);
    this.numbers.fill(0);
    this.numbers = numbers;
  }
}
