/**
 * Numbers ≥ 0 by slot and head, with the largest of each head: a tree over the slots, sixteen to a node, so
 * that a write takes a few dozen operations however many slots there are.
 *
 * Invariant: a node is the largest of its children; slots that were never written have 0.
 */

/** Children of a node. */
const CHILDREN = 16;

/** A table of numbers of which the largest is known. */
export class MaximumTable {
  readonly #heads: number;
  /** The numbers by slot and head, then the nodes above them, level by level; the last one is a single node. */
  #levels: Float32Array<ArrayBuffer>[];

  constructor(heads: number) {
    this.#heads = heads;
    this.#levels = levelsFor(0, heads);
  }

  get bytes(): number {
    return this.#levels.reduce((bytes, level) => bytes + level.byteLength, 0);
  }

  placeOf(slot: number, head: number): number {
    return slot * this.#heads + head;
  }

  get(place: number): number {
    return this.#levels[0][place] ?? 0;
  }

  at(slot: number, head: number): number {
    return this.get(this.placeOf(slot, head));
  }

  /** Makes room for slots below `size`; if memory is refused, nothing has changed. */
  reserve(size: number): void {
    const held = this.#levels[0].length / this.#heads;
    if (size <= held) return;
    const levels = levelsFor(Math.max(size, 2 * held), this.#heads);
    levels[0].set(this.#levels[0]);
    this.#levels = levels;
    this.#sum();
  }

  /** Writes a number; a place for which there is no room keeps 0. */
  put(place: number, number: number): void {
    const heads = this.#heads, levels = this.#levels;
    if (place >= levels[0].length) return;
    const head = place % heads;
    let node = (place - head) / heads;
    levels[0][place] = number;
    for (let level = 1; level < levels.length; level++) {
      node = Math.floor(node / CHILDREN);
      const largest = largestChild(levels[level - 1], node, head, heads), at = node * heads + head;
      if (levels[level][at] === largest) return;
      levels[level][at] = largest;
    }
  }

  /** Writes all slots. */
  fill(numbers: Float32Array): void {
    this.#levels = levelsFor(numbers.length / this.#heads, this.#heads);
    this.#levels[0].set(numbers);
    this.#sum();
  }

  /** A copy of the numbers of the slots below `size`. */
  save(size: number): Float32Array<ArrayBuffer> {
    const saved = new Float32Array(size * this.#heads);
    saved.set(this.#levels[0].subarray(0, saved.length));
    return saved;
  }

  /** The largest number of each head. */
  largest(): Float64Array<ArrayBuffer> {
    const top = this.#levels[this.#levels.length - 1];
    return Float64Array.from({ length: this.#heads }, (_, head) => top[head] ?? 0);
  }

  /** Computes all nodes. */
  #sum(): void {
    const levels = this.#levels, heads = this.#heads;
    for (let level = 1; level < levels.length; level++) {
      for (let at = 0; at < levels[level].length; at++) {
        const head = at % heads;
        levels[level][at] = largestChild(levels[level - 1], (at - head) / heads, head, heads);
      }
    }
  }
}

function levelsFor(slots: number, heads: number): Float32Array<ArrayBuffer>[] {
  const levels = [new Float32Array(slots * heads)];
  for (let nodes = slots; nodes > 1;) {
    nodes = Math.ceil(nodes / CHILDREN);
    levels.push(new Float32Array(nodes * heads));
  }
  return levels;
}

function largestChild(children: Float32Array, node: number, head: number, heads: number): number {
  const end = Math.min(children.length, (node + 1) * CHILDREN * heads);
  let largest = 0;
  for (let at = node * CHILDREN * heads + head; at < end; at += heads) {
    if (children[at] > largest) largest = children[at];
  }
  return largest;
}
