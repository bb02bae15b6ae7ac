// Times from a kept run of the benchmark, and the numbers of edits from which a peer takes less time.
//
// A peer may come in several forms, "onnxruntime-node MatMul-Softmax-MatMul"; the first word is its family,
// and the fastest form counts. A peer recomputes whatever was edited, so its answer after one edit is its
// answer after any number.

import type { BenchRecord, BenchTimes, CountedTime, Time } from "./bench_record.ts";
import { crossing } from "./power_law.ts";
import { patchBytes, patchFormula } from "./work_model.ts";

/** A number of queries and keys. */
export interface Size {
  readonly queryCount: number;
  readonly keyCount: number;
}

/** The engine that is held against the peers: the one whose rebuild is fastest at the largest size. */
export function engineOf(record: BenchRecord): string {
  const engines = new Set(record.subjects.filter(({ kind }) => kind === "attune").map(({ name }) => name));
  const [best] = record.times.filter(({ subject, threads, rebuild }) =>
    engines.has(subject) && threads === 1 && rebuild !== null
  ).toSorted((a, b) => pairs(b) - pairs(a) || medianOf(a.rebuild) - medianOf(b.rebuild));
  if (!best) throw new RangeError("engineOf: the record has no rebuild of an engine, expected one");
  return best.subject;
}

/** Families of peers, the fastest from scratch first. */
export function peersOf(record: BenchRecord): string[] {
  const families = new Set(
    record.subjects.filter(({ kind }) => kind === "peer").map(({ name }) => familyOf(name)),
  );
  const sizes = sizesOf(record);
  const last = sizes[sizes.length - 1];
  return [...families].toSorted((a, b) =>
    (rebuildOf(record, a, last) ?? Infinity) - (rebuildOf(record, b, last) ?? Infinity)
  );
}

/** All sizes of one thread, smaller ones first. */
export function sizesOf({ times }: BenchRecord): Size[] {
  const sizes = new Map(times.map(({ queryCount, keyCount }) => [
    `${queryCount} ${keyCount}`,
    { queryCount, keyCount },
  ]));
  return [...sizes.values()].toSorted((a, b) => pairs(a) - pairs(b) || a.queryCount - b.queryCount);
}

/**
 * The sizes along which the number of keys grows and that of queries stays, as far as there are most of them.
 */
export function lineOf(record: BenchRecord): Size[] {
  const lines = [...Map.groupBy(sizesOf(record), ({ queryCount }) => queryCount).values()];
  return lines.reduce((longest, line) => line.length > longest.length ? line : longest)
    .toSorted((a, b) => a.keyCount - b.keyCount);
}

/** Milliseconds from scratch of a subject or a family, on one thread; null where there are none. */
export function rebuildOf(record: BenchRecord, who: string, size: Size): number | null {
  return fastest(record, who, size, ({ rebuild }) => rebuild);
}

/** Milliseconds of an answer of all rows after a number of edits; for a peer the number does not matter. */
export function answerOf(record: BenchRecord, who: string, size: Size, edits: number): number | null {
  const isPeer = who !== engineOf(record);
  return fastest(record, who, size, ({ answers }) => timeAt(answers, isPeer ? 1 : edits));
}

/** Milliseconds of an answer of a few rows after one edit. */
export function fewRowsOf(
  record: BenchRecord,
  who: string,
  size: Size,
  choice: keyof BenchTimes["fewRows"],
): number | null {
  return fastest(record, who, size, ({ fewRows }) => fewRows[choice]);
}

/** Edits between two answers at which the engine takes as long as a peer. */
export interface MeasuredBreakEven {
  readonly peer: string;
  readonly size: Size;
  /** How many times faster the peer is from scratch. */
  readonly faster: number;
  /** Null when the engine was faster with as many edits as were tried. */
  readonly edits: number | null;
  readonly tried: number;
}

/** The break-evens of every family of peers along the line. */
export function breakEvensOf(record: BenchRecord): MeasuredBreakEven[] {
  const engine = engineOf(record);
  return peersOf(record).flatMap((peer) =>
    lineOf(record).flatMap((size) => {
      const limit = answerOf(record, peer, size, 1);
      const own = rebuildOf(record, engine, size), theirs = rebuildOf(record, peer, size);
      const points = answersOf(record, size);
      if (limit === null || own === null || theirs === null || points.length === 0) return [];
      return [{
        peer,
        size,
        faster: own / theirs,
        edits: crossing(points, limit),
        tried: Math.max(...points.map(({ edits }) => edits)),
      }];
    })
  );
}

/** Answers of the engine by edits. */
export function answersOf(
  record: BenchRecord,
  size: Size,
): { readonly edits: number; readonly ms: number }[] {
  return timesOf(record, engineOf(record), size).flatMap(({ answers }) =>
    answers.map(([edits, [ms]]) => ({ edits, ms }))
  );
}

/** How near a patch of keys gets to what the processor can do, and what it moves meanwhile. */
export interface PatchRate {
  readonly changes: number;
  readonly ms: number;
  readonly gflops: number;
  readonly shareOfLimit: number;
  /** Bytes that must move for each multiply-add. */
  readonly bytesPerMultiplyAdd: number;
}

/** The rates of the engine's patches at a size. */
export function patchRates(record: BenchRecord, size: Size): PatchRate[] {
  const { headDim, limitGflops } = record;
  return timesOf(record, engineOf(record), size).flatMap(({ patches }) =>
    patches.map(([changes, [ms]]) => {
      const work = patchFormula(size.queryCount, changes, headDim, "keys");
      const gflops = 2 * work / ms / 1e6;
      return {
        changes,
        ms,
        gflops,
        shareOfLimit: gflops / limitGflops,
        bytesPerMultiplyAdd: size.queryCount * patchBytes(changes, headDim) / work,
      };
    })
  );
}

function timesOf(record: BenchRecord, who: string, size: Size): BenchTimes[] {
  return record.times.filter(({ subject, threads, queryCount, keyCount }) =>
    (subject === who || familyOf(subject) === who) && threads === 1 &&
    queryCount === size.queryCount && keyCount === size.keyCount
  );
}

function fastest(
  record: BenchRecord,
  who: string,
  size: Size,
  of: (times: BenchTimes) => Time | null,
): number | null {
  const medians = timesOf(record, who, size).flatMap((times) => of(times)?.[0] ?? []);
  return medians.length === 0 ? null : Math.min(...medians);
}

function timeAt(times: readonly CountedTime[], count: number): Time | null {
  return times.find(([at]) => at === count)?.[1] ?? null;
}

function familyOf(name: string): string {
  return name.split(" ", 1)[0];
}

function pairs({ queryCount, keyCount }: Size): number {
  return queryCount * keyCount;
}

function medianOf(time: Time | null): number {
  return time?.[0] ?? Infinity;
}
