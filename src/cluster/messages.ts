/**
 * Requests to hosts and their replies, as bytes.
 *
 *     request  u32 version, u32 kind, f64 milliseconds to wait, f64 sequence of "query", u32 count, count × (u32 partition,
 *              f64 sequence), then
 *              1 read    u32 count, texts                  ids of standing queries
 *              2 attend  floats                            rows of passing queries
 *              3 top     text id, u32 head, u32 count, u32 skip, f64 sequence, u32 room
 *                                                          heavy keys of a standing query, behind the first `skip` of the list
 *                                                          that was made at this sequence, as many as fit into `room` bytes
 *              4 rows    u32 count, texts                  ids of keys
 *              5 drift   u32 count, texts, u32 count · P, count × P sequences       how far answers have moved since these records
 *              6 state   f64 sequence, u32 from, u32 room          a piece of the snapshot that was made at this sequence
 *              7 queries u32 count, texts                  ids of standing queries, whose rows are asked for
 *              8 attend  floats, u32 count, count × f64, text    rows of passing queries with their positions, and the id of the
 *                                                          standing query whose mask they have; "" for none
 *     reply    u32 version, u32 count, count × (u32 partition, u32 status, then)
 *              0 ok      f64 sequence, 16 chain, f64 sequence of "query", f64 age, f64 keys, f64 norm of keys, f64 norm of
 *                        values, bytes of the answer
 *              others    text why
 *     answer   read, attend: for each query f64 version (0: it is not there), f64 ‖q‖, its state (see `exact_sums.ts`)
 *              top: f64 version, f64 sequence of the list, f64 shift, f64 mass, u32 keys before, u32 keys behind, u32 count,
 *              count × (text id, f64 mass)
 *              rows, queries: for each key or query u32 1 and floats, u32 2, f64 position and floats, or u32 0
 *              drift: for each query f64 version, f64 1 if all changes are known, and four numbers a head (see `drift.ts`)
 *              state: f64 sequence, u32 length of the snapshot, u32 from, bytes
 *
 * Every length is checked before anything is made of it.
 */

import { ByteReader, ByteWriter } from "../durable/byte_buffer.ts";
import { HASH_BYTES } from "./batch.ts";
import { Damage } from "./cluster_error.ts";
import type { HeavyKey } from "./partition.ts";

const VERSION = 1;

/** A question about partitions. */
export type Question =
  | { readonly kind: "read"; readonly ids: readonly string[] }
  | PassingQuestion
  | TopQuestion
  | { readonly kind: "rows"; readonly ids: readonly string[] }
  | { readonly kind: "queries"; readonly ids: readonly string[] }
  | { readonly kind: "drift"; readonly ids: readonly string[]; readonly since: Float64Array }
  | StateQuestion;

/** A question about passing queries. */
export interface PassingQuestion {
  readonly kind: "attend";
  readonly rows: Float32Array;
  /** There in a cluster whose rows have positions, or whose pairs have masks. */
  readonly placed?: {
    /** A position for each query; none where rows have none. */
    readonly positions: Float64Array;
    /** The standing query whose mask they have; "" for none. */
    readonly maskOf: string;
  };
}

/** A question for a piece of a snapshot of a partition. */
export interface StateQuestion {
  readonly kind: "state";
  /** The record at which the snapshot was made; 0 for a new one. */
  readonly sequence: number;
  /** Bytes that are there already. */
  readonly from: number;
  /** Bytes that a piece may have. */
  readonly room: number;
}

/** A question about the `count` heaviest keys of a head, of which a reply may hold a part. */
export interface TopQuestion {
  readonly kind: "top";
  readonly id: string;
  readonly head: number;
  readonly count: number;
  /** Keys of the list that are there already. */
  readonly skip: number;
  /** The record at which the list was made; 0 for a new list. */
  readonly sequence: number;
  /** Bytes of keys that a reply may have; one key comes in any case. */
  readonly room: number;
}

const KINDS = ["read", "attend", "top", "rows", "drift", "state", "queries", "placed"] as const;

/** A question with the places that partitions must have reached. */
export interface HostRequest {
  readonly question: Question;
  readonly waitMs: number;
  readonly querySequence: number;
  readonly partitions: readonly { readonly partition: number; readonly sequence: number }[];
}

/** Why a host gives no answer for a partition. */
export type Refusal = "absent" | "late" | "damaged" | "full" | "malformed";
const STATUSES: readonly (Refusal | "ok")[] = ["ok", "absent", "late", "damaged", "full", "malformed"];

/** The answer of a host for a partition, or why it gives none. */
export type PartitionReply = PartitionAnswer | {
  readonly status: Refusal;
  readonly partition: number;
  readonly why: string;
};

/** An answer. */
export interface PartitionAnswer {
  readonly status: "ok";
  readonly partition: number;
  readonly sequence: number;
  readonly chain: Uint8Array<ArrayBuffer>;
  readonly querySequence: number;
  /** Milliseconds before the reply was sent at which the answer included every record. */
  readonly age: number;
  readonly keys: number;
  readonly keyNorm: number;
  readonly valueNorm: number;
  readonly answer: Uint8Array<ArrayBuffer>;
}

/** Bytes of a reply beside its answers, for each partition at most. */
export const REPLY_BYTES = 256;

/** Where a request has the milliseconds to wait. */
export const WAIT_BYTES = [8, 16] as const;

/** Writes a request. */
export function encodeRequest(request: HostRequest): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(), { question } = request;
  out.u32(VERSION);
  const placed = question.kind === "attend" ? question.placed : undefined;
  out.u32(KINDS.indexOf(placed ? "placed" : question.kind) + 1);
  out.f64(request.waitMs);
  out.f64(request.querySequence);
  out.u32(request.partitions.length);
  for (const { partition, sequence } of request.partitions) {
    out.u32(partition);
    out.f64(sequence);
  }
  if (question.kind === "attend") {
    out.floats(question.rows);
    if (placed) {
      out.u32(placed.positions.length);
      for (const position of placed.positions) out.f64(position);
      out.text(placed.maskOf);
    }
  } else if (question.kind === "top") {
    out.text(question.id);
    for (const number of [question.head, question.count, question.skip]) out.u32(number);
    out.f64(question.sequence);
    out.u32(question.room);
  } else if (question.kind === "state") {
    out.f64(question.sequence);
    out.u32(question.from);
    out.u32(question.room);
  } else {
    out.u32(question.ids.length);
    for (const id of question.ids) out.text(id);
    if (question.kind === "drift") {
      out.u32(question.since.length);
      for (const sequence of question.since) out.f64(sequence);
    }
  }
  return out.view().slice();
}

/**
 * Reads a request.
 *
 * @throws {Damage} When it is none.
 */
export function decodeRequest(bytes: Uint8Array<ArrayBuffer>): HostRequest {
  return whole("request", bytes, (reader) => {
    const kind = KINDS[reader.u32() - 1];
    const waitMs = reader.f64(), querySequence = reader.f64();
    const partitions: { partition: number; sequence: number }[] = [];
    for (let left = reader.u32(); left > 0; left--) {
      partitions.push({ partition: reader.u32(), sequence: reader.f64() });
    }
    return { question: readQuestion(kind, reader), waitMs, querySequence, partitions };
  });
}

function readQuestion(kind: typeof KINDS[number] | undefined, reader: ByteReader): Question {
  if (kind === "attend") return { kind, rows: reader.floats() };
  if (kind === "placed") {
    const rows = reader.floats(), positions: number[] = [];
    for (let left = reader.u32(); left > 0; left--) positions.push(reader.f64());
    return {
      kind: "attend",
      rows,
      placed: { positions: Float64Array.from(positions), maskOf: reader.text() },
    };
  }
  if (kind === "top") {
    return {
      ...{ kind, id: reader.text(), head: reader.u32(), count: reader.u32(), skip: reader.u32() },
      ...{ sequence: reader.f64(), room: reader.u32() },
    };
  }
  if (kind === "state") return { kind, sequence: reader.f64(), from: reader.u32(), room: reader.u32() };
  if (kind === undefined) throw new Damage("request is of no kind that is known");
  const ids: string[] = [];
  for (let left = reader.u32(); left > 0; left--) ids.push(reader.text());
  if (kind !== "drift") return { kind, ids };
  const since: number[] = [];
  for (let left = reader.u32(); left > 0; left--) since.push(reader.f64());
  return { kind, ids, since: Float64Array.from(since) };
}

/** Writes a reply. */
export function encodeReply(replies: readonly PartitionReply[]): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  out.u32(VERSION);
  out.u32(replies.length);
  for (const reply of replies) {
    out.u32(reply.partition);
    out.u32(STATUSES.indexOf(reply.status));
    if (reply.status !== "ok") {
      out.text(reply.why);
      continue;
    }
    out.f64(reply.sequence);
    out.raw(reply.chain);
    out.f64(reply.querySequence);
    out.f64(reply.age);
    out.f64(reply.keys);
    out.f64(reply.keyNorm);
    out.f64(reply.valueNorm);
    out.bytes(reply.answer);
  }
  return out.view().slice();
}

/**
 * Reads a reply.
 *
 * @throws {Damage} When it is none.
 */
export function decodeReply(bytes: Uint8Array<ArrayBuffer>): PartitionReply[] {
  return whole("reply", bytes, (reader) => {
    const replies: PartitionReply[] = [];
    for (let left = reader.u32(); left > 0; left--) {
      const partition = reader.u32(), status = STATUSES[reader.u32()];
      if (status === undefined) throw new Damage("reply has a status that is not known");
      if (status !== "ok") {
        replies.push({ status, partition, why: reader.text() });
        continue;
      }
      const sequence = reader.f64(), chain = reader.raw(HASH_BYTES);
      const [querySequence, age, keys] = [reader.f64(), reader.f64(), reader.f64()];
      const [keyNorm, valueNorm] = [reader.f64(), reader.f64()];
      const answer = reader.bytes();
      replies.push({
        ...{ status, partition, sequence, chain, querySequence, age, keys, keyNorm, valueNorm, answer },
      });
    }
    return replies;
  });
}

/** The states of an answer to "read" or "attend": for each query a version, a norm and `columns` numbers. */
export function decodeStates(answer: Uint8Array<ArrayBuffer>, count: number, columns: number): Float64Array {
  const expected = 8 * count * (2 + columns);
  if (answer.length !== expected) {
    throw new Damage(`answer has ${answer.length} bytes, expected ${expected}`);
  }
  const numbers = new Float64Array(answer.slice().buffer);
  for (const number of numbers) {
    if (!Number.isFinite(number)) throw new Damage("answer has a number that is not finite");
  }
  return numbers;
}

/** Reads `count` numbers of an answer to "drift"; a number out of range counts as Infinity. */
export function decodeNumbers(answer: Uint8Array<ArrayBuffer>, count: number): Float64Array {
  if (answer.length !== 8 * count) {
    throw new Damage(`answer has ${answer.length} bytes, expected ${8 * count}`);
  }
  const numbers = new Float64Array(answer.slice().buffer);
  if (numbers.some(Number.isNaN)) throw new Damage("answer has a number that is none");
  return numbers;
}

/** Heavy keys of a partition, or a part of them. */
export interface HeavyAnswer {
  readonly version: number;
  /** The record at which the list was made. */
  readonly sequence: number;
  readonly shift: number;
  readonly mass: number;
  /** Keys of the list before these, and behind them. */
  readonly before: number;
  readonly behind: number;
  readonly keys: readonly HeavyKey[];
}

/** Bytes of a heavy key in a reply, at most. */
export function heavyKeyBytes({ id }: HeavyKey): number {
  return textBytes(id) + 8;
}

/** Bytes of a text in a message, at most. */
export function textBytes(text: string): number {
  return 8 + 3 * text.length;
}

/** Writes heavy keys. */
export function encodeHeavy(answer: HeavyAnswer): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  for (const number of [answer.version, answer.sequence, answer.shift, answer.mass]) out.f64(number);
  for (const number of [answer.before, answer.behind, answer.keys.length]) out.u32(number);
  for (const { id, mass } of answer.keys) {
    out.text(id);
    out.f64(mass);
  }
  return out.view().slice();
}

/** Reads heavy keys. */
export function decodeHeavy(answer: Uint8Array<ArrayBuffer>): HeavyAnswer {
  return read("answer", new ByteReader(answer), (reader) => {
    const [version, sequence, shift, mass] = [reader.f64(), reader.f64(), reader.f64(), reader.f64()];
    const before = reader.u32(), behind = reader.u32(), keys: HeavyKey[] = [];
    for (let left = reader.u32(); left > 0; left--) keys.push({ id: reader.text(), mass: reader.f64() });
    if (keys.length === 0 && behind > 0) {
      throw new Damage(`answer has none of the ${behind} keys that follow`);
    }
    return { version, sequence, shift, mass, before, behind, keys };
  });
}

/** A piece of a snapshot. */
export interface StatePiece {
  /** The record at which the snapshot was made. */
  readonly sequence: number;
  /** Bytes of the whole snapshot. */
  readonly length: number;
  /** The first byte of the piece. */
  readonly from: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Writes a piece of a snapshot. */
export function encodeStatePiece({ sequence, length, from, bytes }: StatePiece): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  out.f64(sequence);
  out.u32(length);
  out.u32(from);
  out.bytes(bytes);
  return out.view().slice();
}

/** Reads a piece of a snapshot. */
export function decodeStatePiece(answer: Uint8Array<ArrayBuffer>): StatePiece {
  return read("answer", new ByteReader(answer), (reader) => {
    return { sequence: reader.f64(), length: reader.u32(), from: reader.u32(), bytes: reader.bytes() };
  });
}

/** A row of a key or query, with its position where rows have one. */
export interface PlacedRow {
  readonly row: Float32Array<ArrayBuffer>;
  readonly position?: number;
}

/** Writes rows of keys or queries. */
export function encodeRows(rows: readonly (PlacedRow | null)[]): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
  for (const one of rows) {
    out.u32(one === null ? 0 : one.position === undefined ? 1 : 2);
    if (one?.position !== undefined) out.f64(one.position);
    if (one !== null) out.floats(one.row);
  }
  return out.view().slice();
}

/** Reads rows of keys or queries, which have positions or have none. */
export function decodeRows(
  answer: Uint8Array<ArrayBuffer>,
  count: number,
  width: number,
  isPlaced = false,
): (PlacedRow | null)[] {
  const expected = isPlaced ? 2 : 1;
  return read("answer", new ByteReader(answer), (reader) =>
    Array.from({ length: count }, () => {
      const code = reader.u32();
      if (code === 0) return null;
      if (code !== expected) throw new Damage(`row is of kind ${code}, expected 0 or ${expected}`);
      const placed = isPlaced ? { position: reader.f64() } : {}, row = reader.floats();
      if (row.length !== width) throw new Damage(`row has ${row.length} numbers, expected ${width}`);
      return { row: row.slice(), ...placed };
    }));
}

function whole<T>(what: string, bytes: Uint8Array<ArrayBuffer>, act: (reader: ByteReader) => T): T {
  return read(what, new ByteReader(bytes), (reader) => {
    const version = reader.u32();
    if (version !== VERSION) throw new Damage(`${what} has version ${version}, expected ${VERSION}`);
    return act(reader);
  });
}

function read<T>(what: string, reader: ByteReader, act: (reader: ByteReader) => T): T {
  try {
    const result = act(reader);
    if (!reader.isDone) throw new Damage(`${what} is longer than what it holds`);
    return result;
  } catch (error) {
    if (error instanceof Damage) throw error;
    throw new Damage(`${what} cannot be read (${(error as Error).message})`);
  }
}
