// The cases in which the engine loses, as lines computed from a kept run of the benchmark.

import { formatCount } from "../../src/display/format.ts";
import type { BenchRecord } from "./bench_record.ts";
import {
  answerOf,
  answersOf,
  engineOf,
  fewRowsOf,
  lineOf,
  peersOf,
  rebuildOf,
  type Size,
  sizesOf,
} from "./measured_times.ts";

/** A block of lines for each way of losing; what was not measured says so. */
export function lossesOf(record: BenchRecord): string[] {
  return [fromScratch(record), manyEdits(record), fewQueries(record), randomRows(record)];
}

/** `0.0466 ms`, `1.2 s`. */
export function formatMs(ms: number): string {
  return ms >= 1000 ? `${Number((ms / 1000).toPrecision(3))} s` : `${Number(ms.toPrecision(3))} ms`;
}

function fromScratch(record: BenchRecord): string {
  const engine = engineOf(record), size = squareOf(record) ?? lineOf(record)[lineOf(record).length - 1];
  const own = rebuildOf(record, engine, size);
  const rivals = peersOf(record).flatMap((peer) => {
    const ms = rebuildOf(record, peer, size);
    return ms === null ? [] : [{ peer, ms }];
  });
  const opening = `From scratch, ${described(size)}`;
  if (own === null || rivals.length === 0) return `${opening}: not measured.`;
  const compared = rivals.map(({ peer, ms }) => `${peer} takes ${formatMs(ms)}, ${compare(own, ms)}`);
  return block(`${opening}, ${engine} takes ${formatMs(own)}`, compared);
}

function manyEdits(record: BenchRecord): string {
  const line = lineOf(record);
  const all = line.flatMap((size) => {
    // The number of edits is that of keys, or the largest that was tried.
    const points = answersOf(record, size).toSorted((a, b) => b.edits - a.edits);
    const [peer] = peersOf(record);
    const limit = peer === undefined ? null : answerOf(record, peer, size, 1);
    if (points.length === 0 || limit === null) return [];
    const [{ edits, ms }] = points;
    return [
      `${formatCount(edits)} edits of ${formatCount(size.keyCount)} keys take ${formatMs(ms)}, ${peer} ${
        formatMs(limit)
      } (${compare(ms, limit)})`,
    ];
  });
  return all.length === 0 ? "Huge batches: not measured." : block("Huge batches, then all rows", all);
}

function fewQueries(record: BenchRecord): string {
  const engine = engineOf(record), most = Math.min(...lineOf(record).map(({ queryCount }) => queryCount));
  const [peer] = peersOf(record);
  const found = sizesOf(record).filter(({ queryCount }) => queryCount < most).flatMap((size) => {
    const own = answerOf(record, engine, size, 1), many = answerOf(record, engine, size, 64);
    const limit = peer === undefined ? null : answerOf(record, peer, size, 1);
    if (own === null || limit === null) return [];
    const after64 = many === null ? "" : `, after 64 edits ${formatMs(many)} (${compare(many, limit)})`;
    return [
      `${described(size)}: one edit and an answer take ${formatMs(own)}, ${peer} ${formatMs(limit)} (${
        compare(own, limit)
      })${after64}`,
    ];
  });
  return found.length === 0 ? `Few queries: this run has none below ${most}.` : block("Few queries", found);
}

function randomRows(record: BenchRecord): string {
  const engine = engineOf(record), size = squareOf(record) ?? lineOf(record)[lineOf(record).length - 1];
  const [peer] = peersOf(record);
  const found = (["same", "drifting", "random"] as const).flatMap((choice) => {
    const own = fewRowsOf(record, engine, size, choice);
    const limit = peer === undefined ? null : fewRowsOf(record, peer, size, choice);
    if (own === null || limit === null) return [];
    return [
      `${choice} rows take ${formatMs(own)}, computing them with ${peer} ${formatMs(limit)} (${
        compare(own, limit)
      })`,
    ];
  });
  const opening = `${record.fewRowCount} rows after each edit, ${described(size)}`;
  return found.length === 0 ? `${opening}: not measured.` : block(opening, found);
}

/** The largest size with as many queries as keys that the engine and a peer have in common. */
function squareOf(record: BenchRecord): Size | null {
  const engine = engineOf(record), [peer] = peersOf(record);
  return sizesOf(record).findLast((size) =>
    size.queryCount === size.keyCount && rebuildOf(record, engine, size) !== null &&
    peer !== undefined && rebuildOf(record, peer, size) !== null
  ) ?? null;
}

function block(opening: string, lines: readonly string[]): string {
  return [`${opening}:`, ...lines.map((line) => `  ${line}`)].join("\n");
}

function described({ queryCount, keyCount }: Size): string {
  return `${formatCount(queryCount)} ${queryCount === 1 ? "query" : "queries"} over ${
    formatCount(keyCount)
  } keys`;
}

/** The factor between the engine's time and a peer's, from the engine's side. */
function compare(own: number, theirs: number): string {
  const [ratio, word] = own > theirs ? [own / theirs, "loses"] : [theirs / own, "wins"];
  return `Attune ${word} by a factor of ${ratio >= 99.5 ? formatCount(ratio) : ratio.toPrecision(2)}`;
}
