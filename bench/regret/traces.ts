// Recorded ways of using a memory: edits and reads in order, as a live system makes them. Contents are
// numbers, so that plans can be priced without computing anything; content 0 … n − 1 is what the memory
// starts with.

import { Random } from "../../testing/random.ts";

/** A slot gets another content, or none. */
export interface TraceEdit {
  readonly slot: number;
  readonly content: number | null;
}

/** Edits, and then a read of these rows. */
export interface TraceStep {
  readonly edits: readonly TraceEdit[];
  readonly rows: readonly number[];
}

/** A trace of edits and reads of `keys` keys and `rows` standing queries. */
export interface Trace {
  readonly kind: string;
  readonly keys: number;
  readonly rows: number;
  readonly steps: readonly TraceStep[];
}

/** Writes a trace down; a memory remembers what its slots hold. */
class Recorder {
  readonly random: Random;
  readonly keys: number;
  readonly rows: number;
  readonly held = new Map<number, number>();
  #next: number;

  constructor(seed: number, keys: number, rows: number) {
    this.random = new Random(seed);
    this.keys = keys;
    this.rows = rows;
    for (let slot = 0; slot < keys; slot++) this.held.set(slot, slot);
    this.#next = keys;
  }

  /** A new content for a slot. */
  set(slot: number, content: number | null = this.#next++): TraceEdit {
    if (content === null) this.held.delete(slot);
    else this.held.set(slot, content);
    return { slot, content };
  }

  /** Edits of `count` random slots. */
  some(count: number): TraceEdit[] {
    return Array.from({ length: count }, () => this.set(this.random.below(this.keys)));
  }

  /** Reads of consecutive rows from a first one on, cyclically. */
  from(first: number, count: number): number[] {
    return Array.from({ length: count }, (_, at) => (first + at) % this.rows);
  }

  /** Every row. */
  all(): number[] {
    return this.from(0, this.rows);
  }
}

type Kind = (recorder: Recorder, step: number) => TraceStep;

/** The kinds that the planner is for. */
const KINDS: Readonly<Record<string, Kind>> = {
  "all rows hot": (memory) => ({ edits: memory.some(1 + memory.random.below(4)), rows: memory.all() }),
  "few rows hot": (memory) => ({ edits: memory.some(1 + memory.random.below(4)), rows: memory.from(2, 3) }),
  "drifting hot set": (memory, step) => ({
    edits: memory.some(2),
    rows: memory.from(Math.floor(step / 10), 4),
  }),
  "random rows": (memory) => ({
    edits: memory.some(3),
    rows: memory.from(memory.random.below(memory.rows), 2),
  }),
  "bursts of edits": (memory, step) => ({
    edits: memory.some(step % 40 === 39 ? memory.keys : 1),
    rows: step % 8 === 0 ? memory.all() : memory.from(0, 2),
  }),
  "edits of one hot key": (memory) => ({
    edits: [memory.set(7)],
    rows: memory.from(memory.random.below(memory.rows), 1 + memory.random.below(6)),
  }),
  "sliding window": (memory, step) => ({
    edits: [memory.set(step % memory.keys, null), memory.set(memory.keys + step % memory.keys)],
    rows: step % 3 === 0 ? memory.all() : memory.from(step, 2),
  }),
  "bulk load": (memory, step) => ({
    edits: step % 60 === 20
      ? Array.from(
        { length: memory.keys / 2 },
        (_, at) => memory.set(memory.keys * 2 + step * memory.keys + at),
      )
      : memory.some(1),
    rows: step % 2 === 0 ? memory.all() : memory.from(1, 1),
  }),
  "hot keys, rows in turn": (memory, step) => ({
    edits: Array.from({ length: 10 }, (_, slot) => memory.set(slot)),
    rows: memory.from(step, 1),
  }),
  "edits without reads": (memory, step) => ({
    edits: memory.some(5),
    rows: step % 50 === 49 ? memory.from(step, 2) : [],
  }),
};

/** One that is made to hurt: keys that blink, each row reading at every change. */
const HOSTILE: Readonly<Record<string, Kind>> = {
  "a blinking key": (memory, step) => ({
    edits: [memory.set(3, step % 2 === 0 ? null : 3)],
    rows: memory.from(0, 2),
  }),
};

const SIZES: readonly (readonly [keys: number, rows: number, steps: number])[] = [
  [128, 8, 300],
  [128, 48, 300],
  [1024, 8, 300],
  [1024, 48, 200],
];

function record(kinds: Readonly<Record<string, Kind>>): Trace[] {
  return Object.entries(kinds).flatMap(([kind, play], number) =>
    SIZES.map(([keys, rows, steps]) => {
      const recorder = new Recorder(100 * number + keys + rows, keys, rows);
      return {
        kind,
        keys,
        rows,
        steps: Array.from({ length: steps }, (_, step) => play(recorder, step)),
      };
    })
  );
}

/** Traces of every kind in several sizes. */
export function recordTraces(): { readonly usual: Trace[]; readonly hostile: Trace[] } {
  return { usual: record(KINDS), hostile: record(HOSTILE) };
}
