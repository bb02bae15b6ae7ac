// The report: one line per file, failures in full, and at the end the skipped programs and how to get them.

import type { Counts, Outcome } from "./run_file.ts";

/** How the line of a test begins that says which program is missing; see testing/requirements.ts. */
const LACK = /^Tests are skipped: (.+)$/gm;
/** How the line of a test begins that says on which device a backend ran. */
const DEVICE = /^Tests of (\S+ run on: .+)$/gm;

/** The line of one file. */
export function fileLine({ file, counts, seconds, failure, remark }: Outcome): string {
  const mark = failure === null ? "ok    " : "FAILED";
  const what = [failure ?? countsText(counts), remark].filter((part) => part !== null).join("; ");
  return `${mark} ${seconds.toFixed(1).padStart(6)} s  ${file.name}: ${what}`;
}

/** All that a file printed, under its name. */
export function outputOf({ file, output, failure }: Outcome): string {
  const title = `── ${file.name}${failure === null ? "" : `: ${failure}`} `;
  return `${title.padEnd(100, "─")}\n${output.trimEnd()}\n${"─".repeat(100)}`;
}

/** The last lines. */
export function summary(outcomes: readonly Outcome[], left: number, seconds: number): string {
  const failed = outcomes.filter(({ failure }) => failure !== null);
  const total = (name: keyof Counts) => outcomes.reduce((sum, { counts }) => sum + counts[name], 0);
  const counts = {
    passed: total("passed"),
    steps: total("steps"),
    failed: total("failed"),
    ignored: total("ignored"),
  };
  return [
    ...failed.map(fileLine),
    `${failed.length === 0 ? "ok" : "FAILED"} | ${countsText(counts)} | ${filesText(outcomes.length)} (${
      clock(seconds)
    })`,
    ...deviceLines(outcomes),
    ...lackLines(outcomes),
    ...(left === 0 ? [] : [
      `Skipped: ${filesText(left)} of the full suite; run ${
        left === 1 ? "it" : "them"
      } with: deno task test:full`,
    ]),
  ].join("\n");
}

function countsText({ passed, steps, failed, ignored }: Counts): string {
  return `${passed} passed${steps > 0 ? ` (${steps} steps)` : ""} | ${failed} failed${
    ignored > 0 ? ` | ${ignored} ignored` : ""
  }`;
}

function deviceLines(outcomes: readonly Outcome[]): string[] {
  return filesBy(DEVICE, outcomes).map(([device, files]) => `Tests in ${filesText(files)} of ${device}`);
}

/** One line for each program that is missing. */
function lackLines(outcomes: readonly Outcome[]): string[] {
  return filesBy(LACK, outcomes).map(([lack, files]) => `Skipped: tests in ${filesText(files)}: ${lack}`);
}

/** The forms of a line, and in how many files each stands. What is in brackets may differ: measured times. */
function filesBy(line: RegExp, outcomes: readonly Outcome[]): [form: string, files: number][] {
  const forms = new Map<string, { form: string; files: Set<Outcome> }>();
  for (const outcome of outcomes) {
    for (const [, form] of outcome.output.matchAll(line)) {
      const name = form.replace(/ \(.*\)/, "");
      if (!forms.has(name)) forms.set(name, { form, files: new Set() });
      forms.get(name)!.files.add(outcome);
    }
  }
  return [...forms.values()].map(({ form, files }) => [form, files.size]);
}

function filesText(count: number): string {
  return `${count} ${count === 1 ? "file" : "files"}`;
}

function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
