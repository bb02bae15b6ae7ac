// The excerpt of a run of `deno task bench` for a notebook: notebooks/data/bench.json, written by `deno task
// bench:keep`.
//
// Invariant: a record that was parsed has a subject for every time in it, and every time is three numbers
// above 0 in ascending order but for the middle one, which is first.

import { describe, FormatError } from "../../src/base/errors.ts";

/** Milliseconds: the median, and the quartiles around it. */
export type Time = readonly [median: number, low: number, high: number];

/** A measured subject. */
export interface BenchSubject {
  readonly name: string;
  readonly kind: "attune" | "peer";
  /** The version of the package; null for the library itself. */
  readonly version: string | null;
}

/** A number of edits or of changed keys, and the time. */
export type CountedTime = readonly [count: number, time: Time];

/** The times of one subject at one size; null or missing where nothing was measured. */
export interface BenchTimes {
  readonly subject: string;
  readonly threads: number;
  readonly queryCount: number;
  readonly keyCount: number;
  /** Everything from scratch. */
  readonly rebuild: Time | null;
  /** Changed keys exchanged in the applied state; none of a peer. */
  readonly patches: readonly CountedTime[];
  /** The number of edits of keys before all rows are read. A peer computes all rows anew. */
  readonly answers: readonly CountedTime[];
  /** One edit of a key, then a few rows are read: the same, a band that moves, or drawn anew. */
  readonly fewRows: {
    readonly same: Time | null;
    readonly drifting: Time | null;
    readonly random: Time | null;
  };
  /** The largest distance of a checked row from the oracle, over the largest value. */
  readonly error: number;
}

/** A run. */
export interface BenchRecord {
  /** ISO, the day it was made. */
  readonly date: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly system: string;
    readonly deno: string;
  };
  /** d = dv of all times. */
  readonly headDim: number;
  /** How many rows `fewRows` are. */
  readonly fewRowCount: number;
  /** 128-bit multiply-adds of one thread, in GFLOP/s. */
  readonly limitGflops: number;
  readonly subjects: readonly BenchSubject[];
  readonly times: readonly BenchTimes[];
}

/** A repository is no place for more. */
export const LARGEST_RECORD = 100_000;
export const RECORD_FILE = new URL("../../notebooks/data/bench.json", import.meta.url);

/** Reads and checks the file of the repository; needs read permission. */
export async function loadBenchRecord(): Promise<BenchRecord> {
  return parseBenchRecord(await Deno.readTextFile(RECORD_FILE));
}

/**
 * One line a subject, one a size and subject: a renewed run shows in a comparison of versions as what
 * changed.
 */
export function formatBenchRecord({ subjects, times, ...rest }: BenchRecord): string {
  const lines = (items: readonly unknown[]) => items.map((item) => `    ${JSON.stringify(item)}`).join(",\n");
  const head = Object.entries(rest).map(([name, value]) =>
    `  ${JSON.stringify(name)}: ${JSON.stringify(value)},`
  );
  return `{\n${head.join("\n")}\n  "subjects": [\n${lines(subjects)}\n  ],\n  "times": [\n${
    lines(times)
  }\n  ]\n}\n`;
}

/**
 * The record of a text.
 *
 * @throws {FormatError} When the text is no record; it names the place.
 */
export function parseBenchRecord(text: string): BenchRecord {
  const root = fieldsOf(parseJson(text), "the record");
  const machine = fieldsOf(root.machine, "machine");
  const subjects = listOf(root.subjects, "subjects").map(toSubject);
  const names = new Set(subjects.map(({ name }) => name));
  return {
    date: dateOf(root.date, "date"),
    machine: {
      cpu: textOf(machine.cpu, "machine.cpu"),
      cores: positiveOf(machine.cores, "machine.cores"),
      system: textOf(machine.system, "machine.system"),
      deno: textOf(machine.deno, "machine.deno"),
    },
    headDim: positiveOf(root.headDim, "headDim"),
    fewRowCount: positiveOf(root.fewRowCount, "fewRowCount"),
    limitGflops: positiveOf(root.limitGflops, "limitGflops"),
    subjects,
    times: listOf(root.times, "times").map((one, at) => toTimes(one, `times[${at}]`, names)),
  };
}

function toSubject(value: unknown, at: number): BenchSubject {
  const place = `subjects[${at}]`, { name, kind, version } = fieldsOf(value, place);
  if (kind !== "attune" && kind !== "peer") return refuse(`${place}.kind`, kind, '"attune" or "peer"');
  return {
    name: textOf(name, `${place}.name`),
    kind,
    version: version === null ? null : textOf(version, `${place}.version`),
  };
}

function toTimes(value: unknown, place: string, subjects: ReadonlySet<string>): BenchTimes {
  const fields = fieldsOf(value, place);
  const subject = textOf(fields.subject, `${place}.subject`);
  if (!subjects.has(subject)) return refuse(`${place}.subject`, subject, "the name of a subject");
  const fewRows = fieldsOf(fields.fewRows, `${place}.fewRows`);
  const few = (name: string) => timeOrNull(fewRows[name], `${place}.fewRows.${name}`);
  const { error } = fields;
  if (typeof error !== "number" || !(error >= 0)) return refuse(`${place}.error`, error, "a number ≥ 0");
  return {
    subject,
    threads: positiveOf(fields.threads, `${place}.threads`),
    queryCount: positiveOf(fields.queryCount, `${place}.queryCount`),
    keyCount: positiveOf(fields.keyCount, `${place}.keyCount`),
    rebuild: timeOrNull(fields.rebuild, `${place}.rebuild`),
    patches: countedOf(fields.patches, `${place}.patches`),
    answers: countedOf(fields.answers, `${place}.answers`),
    fewRows: { same: few("same"), drifting: few("drifting"), random: few("random") },
    error,
  };
}

function countedOf(value: unknown, place: string): CountedTime[] {
  return listOf(value, place).map((pair, at) => {
    const [count, time, ...more] = listOf(pair, `${place}[${at}]`);
    if (more.length > 0) return refuse(`${place}[${at}]`, pair, "a count and a time");
    return [positiveOf(count, `${place}[${at}][0]`), timeOf(time, `${place}[${at}][1]`)];
  });
}

function timeOrNull(value: unknown, place: string): Time | null {
  return value === null ? null : timeOf(value, place);
}

function timeOf(value: unknown, place: string): Time {
  const [median, low, high, ...more] = listOf(value, place).map((one, at) =>
    positiveOf(one, `${place}[${at}]`)
  );
  if (high === undefined || more.length > 0 || !(low <= median && median <= high)) {
    return refuse(place, value, "a median, and the quartiles around it");
  }
  return [median, low, high];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new FormatError("parseBenchRecord", "the text is no JSON", "a record");
  }
}

function fieldsOf(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(place, value, "an object");
  }
  return value as Readonly<Record<string, unknown>>;
}

function listOf(value: unknown, place: string): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(place, value, "a list");
}

function textOf(value: unknown, place: string): string {
  return typeof value === "string" && value !== "" ? value : refuse(place, value, "a text");
}

function positiveOf(value: unknown, place: string): number {
  return typeof value === "number" && value > 0 ? value : refuse(place, value, "a number above 0");
}

function dateOf(value: unknown, place: string): string {
  const text = textOf(value, place);
  const isDate = /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));
  return isDate ? text : refuse(place, value, "a day, 2026-01-31");
}

function refuse(place: string, value: unknown, expected: string): never {
  throw new FormatError("parseBenchRecord", `${place} is ${describe(value)}`, expected);
}
