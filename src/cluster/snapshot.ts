/**
 * A snapshot: the state of a subject behind a record, as an object of the log or a file of a host's folder.
 *
 *     text "attune cluster", u32 version, u32 1 keys or 2 queries, text name of the cluster, u32 partition, f64 sequence, 16 chain
 *     f64 clients that were forgotten, u32 count, then `count` clients: text name, f64 number, 16 hash
 *     f64 bound of the norms of keys, f64 bound of the norms of values                zeros for queries
 *     u32 count, then `count` rows: text id, f64 version, floats           ordered by id
 *         in version 2, of a cluster whose rows have positions: text id, f64 version, f64 position, floats
 *     in version 3, which is 2 of a subject that has moved all rows of a range, u32 count, count × text: names of the newest moves
 *     where pairs have masks, and not for queries: f64 time, then what was said of queries for all keys, u32 count, count ×
 *         (text id, f64 time, f64 bias), and of keys, u32 count, count × (text id, f64 time, f64 bias, and pairs likewise);
 *         where masks differ by head, what was said of queries for each head, and behind the id of a key likewise
 *     16  hash of all bytes before it
 *
 * Invariant: replicas at the same sequence write the same bytes.
 */

import { ByteReader, ByteWriter } from "../durable/byte_buffer.ts";
import { type BatchKind, checkPosition, HASH_BYTES, hashOf, isSameHash } from "./batch.ts";
import { type ClusterConfig, partitionOf, rowColumns } from "./cluster_config.ts";
import { queryColumns } from "../numerics/head_layout.ts";
import { Damage } from "./cluster_error.ts";
import { formsOf, placesOf } from "./exact_sums.ts";
import type { ClientPlace } from "./ledger.ts";
import { Partition } from "./partition.ts";
import { QueryTable } from "./query_table.ts";

const MAGIC = "attune cluster", PLAIN_VERSION = 1, PLACED_VERSION = 2, SHIFTED_VERSION = 3;

/** Whose snapshot it is. */
export interface SnapshotOf {
  readonly config: ClusterConfig;
  readonly kind: BatchKind;
  /** 0 for queries. */
  readonly partition: number;
}

/** Writes a partition or the standing queries. */
export function encodeSnapshot(of: SnapshotOf, state: Partition | QueryTable): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(), { ledger, shifts } = state, isPlaced = placesOf(of.config.scoring) !== null;
  out.text(MAGIC);
  out.u32(!shifts.isEmpty ? SHIFTED_VERSION : isPlaced ? PLACED_VERSION : PLAIN_VERSION);
  out.u32(of.kind === "keys" ? 1 : 2);
  out.text(of.config.cluster);
  out.u32(of.partition);
  out.f64(ledger.sequence);
  out.raw(ledger.chain);
  out.f64(ledger.forgotten);
  out.u32(ledger.clientCount);
  for (const [client, { number, hash }] of ledger.clients) {
    out.text(client);
    out.f64(number);
    out.raw(hash);
  }
  const isKeys = state instanceof Partition;
  out.f64(isKeys ? state.keyNorm : 0);
  out.f64(isKeys ? state.valueNorm : 0);
  const rows: { id: string; version: number; row: Float32Array; position: number }[] = [];
  if (isKeys) { for (const [id, kept] of state.rows()) rows.push({ id, version: 0, ...kept }); }
  else for (const [id, query] of state.all) rows.push({ id, ...query });
  rows.sort((a, b) => a.id < b.id ? -1 : 1);
  out.u32(rows.length);
  for (const { id, version, row, position } of rows) {
    out.text(id);
    out.f64(version);
    if (isPlaced) out.f64(position);
    out.floats(row);
  }
  if (!shifts.isEmpty) shifts.write(out);
  if (isKeys) state.masks?.write(out);
  out.raw(hashOf(out.view()));
  return out.view().slice();
}

/**
 * Reads a snapshot.
 *
 * @throws {Damage} When the bytes are none of this subject.
 */
export function decodeSnapshot(of: SnapshotOf, bytes: Uint8Array<ArrayBuffer>): Partition | QueryTable {
  const end = bytes.length - HASH_BYTES;
  if (end < 0 || !isSameHash(hashOf(bytes.subarray(0, end)), bytes.subarray(end))) {
    throw new Damage("snapshot has another hash than its bytes");
  }
  try {
    return read(of, new ByteReader(bytes, 0, end));
  } catch (error) {
    if (error instanceof Damage) throw error;
    throw new Damage(`snapshot cannot be read (${(error as Error).message})`);
  }
}

function read({ config, kind, partition }: SnapshotOf, reader: ByteReader): Partition | QueryTable {
  const expect = (what: string, found: unknown, expected: unknown) => {
    if (found !== expected) throw new Damage(`snapshot has ${what} ${found}, expected ${expected}`);
  };
  expect("the beginning", reader.text(), MAGIC);
  const { scoring } = config, rule = placesOf(scoring);
  const version = reader.u32(), isShifted = rule !== null && version === SHIFTED_VERSION;
  if (!isShifted) expect("version", version, rule ? PLACED_VERSION : PLAIN_VERSION);
  expect("kind", reader.u32(), kind === "keys" ? 1 : 2);
  expect("cluster", reader.text(), config.cluster);
  expect("partition", reader.u32(), partition);
  const sequence = reader.f64(), chain = reader.raw(HASH_BYTES), forgotten = reader.f64();
  const clients: [string, ClientPlace][] = [];
  for (let left = reader.u32(); left > 0; left--) {
    clients.push([reader.text(), { number: reader.f64(), hash: reader.raw(HASH_BYTES) }]);
  }
  const keyNorm = reader.f64(), valueNorm = reader.f64();
  const isKeys = kind === "keys";
  const width = isKeys ? rowColumns(scoring.layout) : queryColumns(scoring.layout);
  const keys = emptyPartition(config, partition), queries = emptyQueries(config);
  for (let left = reader.u32(); left > 0; left--) {
    const id = reader.text(), version = reader.f64(), position = rule ? checkPosition(rule, reader.f64()) : 0;
    const row = reader.floats();
    expect("numbers of a row", row.length, width);
    if (isKeys) keys.load(id, row, position);
    else queries.load(id, { row: row.slice(), position, version });
  }
  if (isShifted) (isKeys ? keys : queries).shifts.read(reader);
  if (isKeys) keys.masks?.read(reader);
  if (!reader.isDone) throw new Damage("snapshot is longer than its rows");
  // Bounds of answers are of all keys that were ever there, so that they have the same bits on all replicas.
  keys.noteNorms(keyNorm, valueNorm);
  (isKeys ? keys : queries).ledger.restore(sequence, chain, forgotten, clients);
  return isKeys ? keys : queries;
}

/** No standing queries. */
export function emptyQueries({ scoring }: ClusterConfig): QueryTable {
  return new QueryTable(queryColumns(scoring.layout), formsOf(scoring));
}

/** A partition without keys, which takes those that lie in it. */
export function emptyPartition({ scoring, partitions }: ClusterConfig, partition: number): Partition {
  return new Partition(scoring, (id) => partitionOf(id, partitions) === partition);
}
