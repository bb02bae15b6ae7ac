// `deno task bench:keep`: from bench/results.json or another file of `deno task bench` it writes
// notebooks/data/bench.json, the one file that all pages take their times from, and of it the tables of
// docs/benchmarks.md and the times of the README. The notebook about scaling reads the file itself.

import {
  type BenchRecord,
  type BenchTimes,
  formatBenchRecord,
  LARGEST_RECORD,
  parseBenchRecord,
  RECORD_FILE,
  type Time,
} from "../studies/scaling/bench_record.ts";
import { withKeptTables, withKeptTimes } from "./display/kept_tables.ts";
import type { BenchResults, Measurement } from "./results.ts";
import type { Timing } from "./statistics.ts";
import { describeShape, FEW_ROWS, HEAD_DIM } from "./workload.ts";

const PAGES = [
  { file: new URL("../docs/benchmarks.md", import.meta.url), write: withKeptTables },
  { file: new URL("../README.md", import.meta.url), write: withKeptTimes },
];

type Measured = Extract<Measurement, { status: "measured" }>;

/**
 * The record of a run: its medians and quartiles of edits of keys, to three digits.
 *
 * @throws {Error} When the run was a quick one, whose times mean little.
 */
export function toBenchRecord(
  { date, machine, quick, subjects, limits, measurements }: BenchResults,
): BenchRecord {
  if (quick) throw new Error("bench:keep: the run was a quick one, expected a whole one");
  // Files of earlier versions have none.
  if (date === undefined) throw new Error("bench:keep: the run has no date, expected one of this version");
  const limit = limits.find(({ threads }) => threads === 1);
  if (!limit) throw new Error("bench:keep: the run has no limit of one thread, expected one");
  const measured = measurements.filter((one): one is Measured => one.status === "measured");
  const bySize = Map.groupBy(
    measured,
    ({ subject, threads, shape }) => JSON.stringify([subject, threads, describeShape(shape)]),
  );
  const kept = new Set(measured.map(({ subject }) => subject));
  const { cpu, cores, system, deno } = machine;
  return {
    date,
    machine: { cpu, cores, system, deno },
    headDim: HEAD_DIM,
    fewRowCount: FEW_ROWS,
    limitGflops: digits(limit.gflops),
    subjects: subjects.filter(({ name, threads }) => threads === 1 && kept.has(name))
      .map(({ name, kind, version }) => ({ name, kind, version })),
    times: [...bySize.values()].map(timesOf),
  };
}

function timesOf(measured: readonly Measured[]): BenchTimes {
  const [{ subject, threads, shape: { queryCount, keyCount } }] = measured;
  const patches: [number, Time][] = [], answers: [number, Time][] = [];
  let rebuild: Time | null = null;
  const fewRows: { same: Time | null; drifting: Time | null; random: Time | null } = {
    same: null,
    drifting: null,
    random: null,
  };
  for (const { workload, timing } of measured) {
    if (workload.kind === "rebuild") rebuild = timeOf(timing);
    else if (workload.kind === "patch") patches.push([workload.changes, timeOf(timing)]);
    else if (workload.edit !== "key") continue;
    else if (workload.rows === "all") answers.push([workload.edits, timeOf(timing)]);
    else if (workload.edits === 1) fewRows[workload.rows] = timeOf(timing);
  }
  const ascending = (a: readonly [number, Time], b: readonly [number, Time]) => a[0] - b[0];
  return {
    subject,
    threads,
    queryCount,
    keyCount,
    rebuild,
    patches: patches.sort(ascending),
    answers: answers.sort(ascending),
    fewRows,
    error: Number(Math.max(...measured.map(({ error }) => error)).toPrecision(2)),
  };
}

function timeOf({ median, spread: [low, high] }: Timing): Time {
  return [digits(median), digits(low), digits(high)];
}

function digits(number: number): number {
  return Number(number.toPrecision(3));
}

async function main(
  [file = new URL("results.json", import.meta.url)]: readonly (string | URL)[],
): Promise<void> {
  const text = formatBenchRecord(toBenchRecord(JSON.parse(await Deno.readTextFile(file))));
  if (text.length > LARGEST_RECORD) {
    throw new Error(`bench:keep: the record has ${text.length} bytes, expected at most ${LARGEST_RECORD}`);
  }
  const record = parseBenchRecord(text);
  // All pages are written before any is stored, so that a page that lacks its place changes none.
  const pages = await Promise.all(PAGES.map(async ({ file, write }) => {
    return { file, text: write(await Deno.readTextFile(file), record) };
  }));
  for (const page of [{ file: RECORD_FILE, text }, ...pages]) await Deno.writeTextFile(page.file, page.text);
  console.log(
    `${text.length} bytes of a run of ${record.date}; now \`deno fmt README.md docs\` aligns the tables, and ` +
      "`deno task notebooks 07_scaling` shows the times",
  );
}

if (import.meta.main) await main(Deno.args);
