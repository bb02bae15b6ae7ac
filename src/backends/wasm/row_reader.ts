/**
 * Reads outputs and log-sum-exps of many head rows with the kernels. Head rows that a kernel cannot answer
 * from the sums alone are left to the caller: those with heavy keys, and steep ones.
 *
 * Invariant: an output has the bits that `RowTotals` gives it, so that reading a head row alone or among
 * others gives the same bits.
 */

import type { AttentionOutput } from "../backend.ts";
import { type HeadLayout, outputColumns } from "../../numerics/head_layout.ts";
import { exponentOf, powerOfTwo, shiftedExp, shiftedLog } from "../../numerics/power_shift.ts";
import { type ScoreRule, sinkOf } from "../../numerics/score_rule.ts";
import { BLOCK_ROWS, EMPTY_SHIFT } from "./job_fields.ts";
import { STEEP_SCORE } from "../host/key_reach.ts";
import type { AnswerPart } from "../host/state_store.ts";
import type { Kernels } from "./load_kernels.ts";
import type { Arena } from "./arena.ts";
import type { RowStates } from "./row_states.ts";

/** Bytes of outputs that are read before they are copied, so that they stay in the nearest caches. */
const TILE_BYTES = 32768;

/** The reads of one backend. */
export class RowReader {
  readonly #kernels: Kernels;
  readonly #arena: Arena;
  readonly #layout: HeadLayout;
  readonly #rule: ScoreRule;
  /** Numbers of an output, all heads. */
  readonly #width: number;
  readonly #tileBlocks: number;
  readonly #tile: number;
  #endBlock = 0;

  constructor(kernels: Kernels, arena: Arena, layout: HeadLayout, rule: ScoreRule) {
    this.#rule = rule;
    this.#kernels = kernels;
    this.#arena = arena;
    this.#layout = layout;
    this.#width = outputColumns(layout);
    const blockBytes = 4 * BLOCK_ROWS * this.#width;
    this.#tileBlocks = Math.max(1, Math.floor(TILE_BYTES / blockBytes));
    this.#tile = arena.take(this.#tileBlocks * blockBytes);
  }

  /** Wipes the scratch of the last read. */
  forget(): void {
    this.#arena.floats(this.#tile, this.#tileBlocks * BLOCK_ROWS * this.#width).fill(0);
  }

  /**
   * Answers some queries by their sums. Returns the head rows with heavy keys and, if one is steep, all head
   * rows of that head.
   */
  read(states: RowStates, queries: Uint32Array, { output, logSumExp }: AttentionOutput): AnswerPart[] {
    const { heads, valueDim } = this.#layout, stride = 4 * this.#width;
    let isSteep = false;
    for (let at = 0, end = 0; at < queries.length; at = end) {
      const first = blockOf(queries[at]);
      end = this.#tileEnd(queries, at);
      for (let head = 0; head < heads; head++) {
        const target = this.#tile + 4 * head * valueDim, { job } = states.heads[head];
        const found = this.#kernels.read(job, first, this.#endBlock, target, stride, STEEP_SCORE);
        isSteep ||= found === 1;
      }
      this.#copyTile(queries, at, end, output);
    }
    const left: AnswerPart[] = [];
    for (let head = 0; head < heads; head++) {
      if (logSumExp.length > 0) this.#readLogs(states, head, queries, logSumExp);
      if (!isSteep && !states.hasHeavyKeys(head)) continue;
      for (let at = 0; at < queries.length; at++) {
        if (isSteep || states.heavyKeys(head, queries[at]).length > 0) left.push({ at, head });
      }
    }
    return left;
  }

  /**
   * Patches the rows of some queries, in ascending order, with the terms of their job, and answers them, of an
   * engine of one head. Returns what the kernel found.
   */
  patchAndRead(states: RowStates, queries: Uint32Array, { output, logSumExp }: AttentionOutput): number {
    const { job } = states.heads[0], stride = 4 * this.#width;
    let found = 0;
    for (let at = 0, end = 0; at < queries.length; at = end) {
      const first = blockOf(queries[at]);
      end = this.#tileEnd(queries, at);
      found |= this.#kernels.patchAndRead(job, first, this.#endBlock, this.#tile, stride, STEEP_SCORE);
      this.#copyTile(queries, at, end, output);
    }
    if (logSumExp.length > 0) this.#readLogs(states, 0, queries, logSumExp);
    return found;
  }

  /**
   * The end of the queries from number `at` on that are read together: those of neighbouring blocks that fit
   * the tile. The end of their blocks is noted.
   */
  #tileEnd(queries: Uint32Array, at: number): number {
    const first = blockOf(queries[at]), last = first + this.#tileBlocks;
    let end = at + 1, endBlock = first + 1;
    for (; end < queries.length; end++) {
      const block = blockOf(queries[end]);
      if (block < endBlock) {
        if (block < first) break;
      } else if (block > endBlock || block === last) break;
      else endBlock++;
    }
    this.#endBlock = endBlock;
    return end;
  }

  /** Copies the rows of some queries from the tile, in runs of neighbouring ones. */
  #copyTile(queries: Uint32Array, at: number, end: number, output: Float32Array): void {
    const width = this.#width, { numbers } = this.#arena;
    const tile = this.#tile / 4 - blockOf(queries[at]) * BLOCK_ROWS * width;
    for (let from = at, next = at + 1; from < end; from = next++) {
      while (next < end && queries[next] === queries[next - 1] + 1) next++;
      const start = tile + queries[from] * width;
      output.set(numbers.subarray(start, start + (next - from) * width), from * width);
    }
  }

  #readLogs(states: RowStates, head: number, queries: Uint32Array, logSumExp: Float64Array): void {
    const { heads, valueDim } = this.#layout;
    const { columns, sumAddress, shiftAddress } = states.heads[head];
    const { allDoubles } = this.#arena;
    const shifts = this.#arena.integers(shiftAddress, states.capacity), sink = sinkOf(this.#rule, head);
    for (let at = 0; at < queries.length; at++) {
      const row = queries[at];
      const place = ((row >> 3) * columns + valueDim) * BLOCK_ROWS + row % BLOCK_ROWS;
      const mass = allDoubles[sumAddress / 8 + place];
      const shift = shifts[row] === EMPTY_SHIFT ? -Infinity : shifts[row];
      logSumExp[at * heads + head] = sink === -Infinity
        ? (shift === -Infinity ? shift : shiftedLog(mass, shift))
        : logWithSink(mass, shift, sink);
    }
  }
}

function blockOf(row: number): number {
  return Math.floor(row / BLOCK_ROWS);
}

/** Natural log of a row's mass with that of its sink, as `RowTotals` has it. */
function logWithSink(mass: number, shift: number, sink: number): number {
  const common = Math.max(shift, exponentOf(sink));
  const held = mass * (common === shift ? 1 : powerOfTwo(shift - common));
  return shiftedLog(held + shiftedExp(sink, common), common);
}
