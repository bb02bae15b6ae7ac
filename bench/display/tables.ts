// The tables of a run, as rows of text: for the terminal and for the page.

import type { BenchResults, Measurement } from "../results.ts";
import { short } from "../statistics.ts";
import { describeShape, describeWorkload } from "../workload.ts";

export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function allTables(results: BenchResults): Table[] {
  return [
    subjectTable(results),
    ...measurementTables(results),
    memoryTable(results),
    scaleTable(results),
    breakEvenTable(results),
    targetTable(results),
  ].filter(({ rows }) => rows.length > 0);
}

function subjectTable({ subjects }: BenchResults): Table {
  return {
    title: "Who is measured",
    header: ["subject", "threads", "version", "state"],
    rows: subjects.map(({ name, threads, version, missing }) => [
      name,
      String(threads),
      version ?? "this",
      missing === null ? "measured" : `not measured: ${missing}`,
    ]),
  };
}

/** One a shape: a line a workload and subject. */
function measurementTables({ measurements, limits }: BenchResults): Table[] {
  const shapes = new Set(measurements.map(({ shape }) => describeShape(shape)));
  const limitOf = (threads: number) => limits.find((limit) => limit.threads === threads)?.gflops ?? NaN;
  return [...shapes].map((name) => ({
    title: `${name.replace("x", " queries over ")} keys, d = dv = 64`,
    header: ["workload", "subject", "threads", "median ms", "quartiles", "GFLOP/s", "of the limit", "error"],
    rows: measurements.filter(({ shape }) => describeShape(shape) === name)
      .map((measurement) => measurementRow(measurement, limitOf(measurement.threads))),
  }));
}

function measurementRow(measurement: Measurement, limit: number): string[] {
  const start = [
    describeWorkload(measurement.workload),
    measurement.subject,
    String(measurement.threads),
  ];
  if (measurement.status !== "measured") {
    return [...start, `${measurement.status}: ${measurement.reason}`, "", "", "", ""];
  }
  const { timing: { median, spread: [low, high], warm }, gflops, error } = measurement;
  return [
    ...start,
    short(median),
    `${short(low)} … ${short(high)}${warm ? "" : " (still warming up)"}`,
    gflops === null ? "" : short(gflops),
    gflops === null ? "" : `${(gflops / limit * 100).toFixed(0)} %`,
    error.toExponential(1),
  ];
}

function memoryTable({ memory }: BenchResults): Table {
  return {
    title: "Resident memory, MB",
    header: ["size", "subject", "data", "resident", "peak"],
    rows: memory.map((one) => [
      describeShape(one.shape),
      one.subject,
      megabytes(one.dataBytes),
      ...(one.status === "measured"
        ? [megabytes(one.resident), one.peak === null ? "unknown" : megabytes(one.peak)]
        : [`${one.status}: ${one.reason}`, ""]),
    ]),
  };
}

function scaleTable({ scale }: BenchResults): Table {
  return {
    title: "Many keys",
    header: ["size", "subject", "create s", "edit µs", "read a row µs", "resident of data", "error"],
    rows: scale.map((one) => [
      describeShape(one.shape),
      one.subject,
      ...(one.status === "measured"
        ? [
          short(one.createMs / 1000),
          short(one.edit.median * 1000),
          short(one.readRow.median * 1000),
          short(one.residentBytes / one.dataBytes),
          one.error.toExponential(1),
        ]
        : [`${one.status}: ${one.reason}`, "", "", "", ""]),
    ]),
  };
}

function breakEvenTable({ breakEven }: BenchResults): Table {
  return {
    title: "Where it loses: edits before a read from which a peer's recomputing is cheaper, 128 queries",
    header: ["keys", "engine", "peer", "threads", "loses from … edits a read"],
    rows: breakEven.map(({ shape, subject, peer, threads, edits, tried }) => [
      shape.keyCount.toLocaleString("en"),
      subject,
      peer,
      String(threads),
      edits === null ? `not up to ${tried.toLocaleString("en")}` : edits <= 1 ? "1: always" : short(edits),
    ]),
  };
}

function targetTable({ targets }: BenchResults): Table {
  return {
    title: "Targets",
    header: ["target", "wanted", "measured", "verdict"],
    rows: targets.map(({ name, wanted, measured, verdict }) => [name, wanted, measured, verdict]),
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** Columns in line, for a terminal. */
export function formatTable({ title, header, rows }: Table): string {
  const widths = header.map((cell, at) => Math.max(cell.length, ...rows.map((row) => row[at].length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, at) => cell.padEnd(widths[at])).join("  ").trimEnd();
  return [title, line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
