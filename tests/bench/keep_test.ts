// The excerpt of a benchmark run that a notebook shows: it is complete, checked when it is read, and not too
// large.

import { toBenchRecord } from "../../bench/keep.ts";
import type { BenchResults, Measurement } from "../../bench/results.ts";
import { shapeOf, type Workload } from "../../bench/workload.ts";
import { FormatError } from "../../src/base/errors.ts";
import {
  formatBenchRecord,
  LARGEST_RECORD,
  loadBenchRecord,
  parseBenchRecord,
  RECORD_FILE,
} from "../../studies/scaling/bench_record.ts";
import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";

function measured(workload: Workload, median: number, subject = "attune wasm"): Measurement {
  const timing = { median, spread: [median * 0.9, median * 1.1] as const, runs: 5, warm: true };
  return {
    subject,
    threads: 1,
    shape: shapeOf(128, 1024),
    workload,
    status: "measured",
    timing,
    gflops: null,
    error: 1.234e-8,
  };
}

const RESULTS: BenchResults = {
  date: "2026-01-31",
  machine: { cpu: "a cpu", cores: 2, memoryBytes: 1, system: "linux x86_64", deno: "2.9.6", v8: "15" },
  quick: false,
  subjects: [
    { name: "attune wasm", kind: "attune", threads: 1, version: null, missing: null },
    { name: "attune wasm", kind: "attune", threads: 2, version: null, missing: null },
    { name: "a peer", kind: "peer", threads: 1, version: "1.0.0", missing: "not there" },
  ],
  limits: [{ threads: 2, form: "fused", gflops: 110 }, { threads: 1, form: "fused", gflops: 55.0952 }],
  measurements: [
    measured({ kind: "rebuild" }, 1.23456),
    measured({ kind: "patch", changes: 64 }, 0.5),
    measured({ kind: "patch", changes: 4 }, 0.25),
    measured({ kind: "answer", edit: "key", edits: 64, rows: "all" }, 2),
    measured({ kind: "answer", edit: "key", edits: 1, rows: "all" }, 1),
    measured({ kind: "answer", edit: "slide", edits: 1, rows: "all" }, 9),
    measured({ kind: "answer", edit: "key", edits: 1, rows: "random" }, 3),
    { ...measured({ kind: "rebuild" }, 1, "a peer"), status: "failed", reason: "an error" } as Measurement,
  ],
  memory: [],
  scale: [],
  fresh: { status: "failed", reason: "not looked at" },
  breakEven: [],
  targets: [],
};

Deno.test("a run is kept: medians and quartiles to three digits, in order of edits, without what failed", () => {
  const record = toBenchRecord(RESULTS);
  assertEquals(record, {
    date: "2026-01-31",
    machine: { cpu: "a cpu", cores: 2, system: "linux x86_64", deno: "2.9.6" },
    headDim: 64,
    fewRowCount: 16,
    limitGflops: 55.1,
    subjects: [{ name: "attune wasm", kind: "attune", version: null }],
    times: [{
      subject: "attune wasm",
      threads: 1,
      queryCount: 128,
      keyCount: 1024,
      rebuild: [1.23, 1.11, 1.36],
      patches: [[4, [0.25, 0.225, 0.275]], [64, [0.5, 0.45, 0.55]]],
      answers: [[1, [1, 0.9, 1.1]], [64, [2, 1.8, 2.2]]],
      fewRows: { same: null, drifting: null, random: [3, 2.7, 3.3] },
      error: 1.2e-8,
    }],
  });
  assertEquals(parseBenchRecord(formatBenchRecord(record)), record);
});

Deno.test("a quick run, one without a date and one without a limit are not kept", () => {
  assertThrows(() => toBenchRecord({ ...RESULTS, quick: true }), Error, "the run was a quick one");
  const { date: _, ...undated } = RESULTS;
  assertThrows(() => toBenchRecord(undated as BenchResults), Error, "the run has no date");
  assertThrows(() => toBenchRecord({ ...RESULTS, limits: [] }), Error, "no limit of one thread");
});

Deno.test("a record that is damaged is refused, and the place is named", () => {
  const text = formatBenchRecord(toBenchRecord(RESULTS));
  const damages: readonly (readonly [from: string, to: string, complaint: string])[] = [
    ["{", "[", "the text is no JSON"],
    ['"date": "2026-01-31"', '"date": "2026-13-31"', 'date is "2026-13-31", expected a day'],
    ['"kind":"attune"', '"kind":"other"', 'subjects[0].kind is "other", expected "attune" or "peer"'],
    ['"subject":"attune wasm"', '"subject":"a peer"', "times[0].subject"],
    ["[1.23,1.11,1.36]", "[1.23,1.11]", "times[0].rebuild is"],
    ["[1.23,1.11,1.36]", "[1.23,1.11,1.2]", "times[0].rebuild is"],
    ["[1.23,1.11,1.36]", '["1.23",1.11,1.36]', 'times[0].rebuild[0] is "1.23", expected a number above 0'],
    ["[4,[0.25", "[0,[0.25", "times[0].patches[0][0] is 0"],
    ["[4,[0.25,0.225,0.275]]", "[4]", "times[0].patches[0][1] is undefined, expected a list"],
    ['"error":1.2e-8', '"error":null', "times[0].error is null, expected a number ≥ 0"],
    ['"same":null,', "", "times[0].fewRows.same is undefined"],
    ["55.1", "-1", "limitGflops is -1"],
  ];
  for (const [from, to, complaint] of damages) {
    assert(text.includes(from), `the record has no ${from}`);
    assertThrows(() => parseBenchRecord(text.replace(from, to)), FormatError, complaint);
  }
});

Deno.test("the committed record is whole, in the form of the task, and small", async () => {
  const record = await loadBenchRecord(), text = await Deno.readTextFile(RECORD_FILE);
  assertEquals(formatBenchRecord(record), text, "run `deno task bench:keep`");
  assert(text.length <= LARGEST_RECORD, `${text.length} bytes`);
  for (const kind of ["attune", "peer"] as const) {
    const names = new Set(record.subjects.filter((subject) => subject.kind === kind).map(({ name }) => name));
    assert(record.times.some(({ subject, rebuild }) => names.has(subject) && rebuild !== null), kind);
  }
});
