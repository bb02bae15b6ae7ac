/**
 * Writes rows at the host as records for the device.
 */

import { type BlockBias, blockOf } from "../../numerics/block_bias.ts";
import { looksAtPositions, type ScoreRule } from "../../numerics/score_rule.ts";
import type { HostRows } from "../host/host_rows.ts";
import type { KeyTable } from "../host/key_table.ts";
import { placeOf, reachOf } from "./position_range.ts";
import {
  ADDED_KEY,
  EMPTY_KEY,
  KEY_START,
  NO_BLOCK,
  QUERY_START,
  type RecordLayout,
} from "./record_layout.ts";

/** The place of a record: its words, from `at` on, as integers and as numbers. */
export interface RecordRoom {
  readonly words: Uint32Array;
  readonly numbers: Float32Array;
  readonly at: number;
}

/** A query that is in no table: H·d numbers from `offset` on, and its position. */
export interface LooseQuery {
  readonly rows: Float32Array;
  readonly offset: number;
  readonly position: number;
}

/** The writer of one engine's records. */
export class RecordWriter {
  readonly #rows: HostRows;
  readonly #rule: ScoreRule;
  readonly #looksAtPositions: boolean;

  constructor(rows: HostRows, rule: ScoreRule) {
    this.#rows = rows;
    this.#rule = rule;
    this.#looksAtPositions = looksAtPositions(rule);
  }

  /** Writes the record of a stored key. */
  writeStored(slot: number, room: RecordRoom, record: RecordLayout): void {
    writeKey(this.#rows.stored, slot, slot, room, record, this.#rule.blocks);
  }

  /** Writes the record of a retained key, with the slot that held it. */
  writeRetained(retainedId: number, room: RecordRoom, record: RecordLayout): void {
    writeKey(
      this.#rows.retained,
      retainedId,
      this.#rows.retainedSlot(retainedId),
      room,
      record,
      this.#rule.blocks,
    );
  }

  /** Writes the record of a standing query, all zeros for an empty slot. */
  writeQuery(slot: number, room: RecordRoom): void {
    const { queries } = this.#rows;
    if (!queries.isLive(slot)) return;
    const offset = slot * queries.width;
    this.writeLoose({ rows: queries.rows, offset, position: queries.position(slot) }, room);
  }

  /** Writes the record of any query. */
  writeLoose({ rows, offset, position }: LooseQuery, { words, numbers, at }: RecordRoom): void {
    const { width } = this.#rows.queries;
    numbers.set(rows.subarray(offset, offset + width), at + QUERY_START);
    const { distanceBias, blocks } = this.#rule;
    if (distanceBias !== undefined || blocks !== undefined) {
      writePlace(position, numbers, at + QUERY_START + width);
      words[at + QUERY_START + width + 3] = blocks
        ? blockOf(position, blocks.querySize, blocks.rows)
        : NO_BLOCK;
    }
    if (!this.#looksAtPositions) return;
    const { first, last } = reachOf(this.#rule, position);
    words.set(first, at);
    words.set(last, at + 2);
  }
}

function writeKey(
  table: KeyTable,
  row: number,
  slot: number,
  { words, numbers, at }: RecordRoom,
  { valueStart, placeStart, placeWords, biasStart, biasWords }: RecordLayout,
  blocks: BlockBias | undefined,
): void {
  if (!table.isLive(row)) {
    words[at] = EMPTY_KEY;
    return;
  }
  const { bias } = table.block();
  words[at] = ADDED_KEY;
  words[at + 1] = slot;
  words.set(placeOf(table.position(row)), at + 2);
  table.copyWidened(row, numbers, at + KEY_START, at + valueStart);
  if (placeWords > 0) {
    const position = table.position(row);
    writePlace(position, numbers, at + placeStart);
    words[at + placeStart + 3] = blocks ? blockOf(position, blocks.keySize, blocks.columns) : NO_BLOCK;
  }
  if (!bias) return;
  // Kernels read biases by query; the host has them by mask head.
  for (let head = 0; head < bias.heads; head++) {
    const start = table.biasIndex(row, head);
    for (
      let query = 0, to = at + biasStart + head;
      query * bias.heads < biasWords;
      query++, to += bias.heads
    ) {
      numbers[to] = bias.numbers[start + query];
    }
  }
}

/** Writes a position as the sum of three floats. */
function writePlace(position: number, numbers: Float32Array, at: number): void {
  numbers[at] = position;
  numbers[at + 1] = position - numbers[at];
  numbers[at + 2] = position - numbers[at] - numbers[at + 1];
}
