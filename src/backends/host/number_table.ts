/**
 * A growing table of float32 numbers, in an array of its own or in the memory that kernels compute in.
 */

/** A table whose number i is `numbers[start + i]`. Only `reserve` changes these two fields. */
export interface NumberTable {
  readonly numbers: Float32Array;
  readonly start: number;
  /** The number of numbers that there is room for. */
  readonly capacity: number;
  /**
   * Makes room for `count` numbers; new ones are 0, and memory that is given up is wiped. If it throws,
   * nothing has changed.
   */
  reserve(count: number): void;
}

/** A table in an array of its own. */
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
