// The tables of docs/benchmarks.md, made of the kept run: medians in milliseconds with quartiles, and the
// edits from which computing again is faster.
//
// Invariant: on either side the fastest counts, of all subjects and thread counts.

import type { BenchRecord, BenchTimes, Time } from "../../studies/scaling/bench_record.ts";

const START = "<!-- tables of the kept run: deno task bench:keep writes them -->", END = "<!-- end -->";

/** The page with its tables written anew. */
export function withKeptTables(page: string, record: BenchRecord): string {
  const [head, rest] = page.split(START), tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error(`benchmarks: the page lacks ${START} or ${END}, expected both`);
  return `${head}${START}\n\n${keptTables(record)}\n\n${END}${tail}`;
}

/** The fastest engine and the fastest peer at one size. */
export interface Comparison {
  readonly queryCount: number;
  readonly keyCount: number;
  /** One edit and an exact read of all rows. */
  readonly edit: Time;
  /** The same by computing all rows again. */
  readonly again: Time;
  readonly peer: string;
  /** One edit and a read of the same few rows. */
  readonly fewRows: Time;
  readonly fewRowsAgain: Time;
  /** Everything computed from scratch, by the engine and by the fastest peer. */
  readonly rebuild: Time;
  readonly rebuildOfPeer: Time;
  /**
   * The first measured number of edits before a read from which a peer is faster; null where it was not
   * reached.
   */
  readonly lostFrom: number | null;
  /** The largest number of edits that was measured. */
  readonly mostEdits: number;
}

/** The comparisons of a run, one for each size. */
export function compare({ times, subjects }: BenchRecord): Comparison[] {
  const kinds = new Map(subjects.map(({ name, kind }) => [name, kind]));
  const sizes = Map.groupBy(times, ({ queryCount, keyCount }) => `${queryCount} ${keyCount}`);
  return [...sizes.values()].map((here) => {
    const engines = here.filter(({ subject }) => kinds.get(subject) === "attune");
    const peers = here.filter(({ subject }) => kinds.get(subject) === "peer");
    const again = fastest(peers, (one) => answerAfter(one, 1));
    const counts = [...new Set(engines.flatMap(({ answers }) => answers.map(([count]) => count)))].sort((
      a,
      b,
    ) => a - b);
    const lost = counts.find((count) =>
      fastest(engines, (one) => answerAfter(one, count)).time[0] > again.time[0]
    );
    return {
      queryCount: here[0].queryCount,
      keyCount: here[0].keyCount,
      edit: fastest(engines, (one) => answerAfter(one, 1)).time,
      again: again.time,
      peer: again.name,
      fewRows: fastest(engines, ({ fewRows }) => fewRows.same).time,
      fewRowsAgain: fastest(peers, ({ fewRows }) => fewRows.same).time,
      rebuild: fastest(engines, ({ rebuild }) => rebuild).time,
      rebuildOfPeer: fastest(peers, ({ rebuild }) => rebuild).time,
      lostFrom: lost ?? null,
      mostEdits: counts.at(-1)!,
    };
  });
}

function answerAfter({ answers }: BenchTimes, edits: number): Time | null {
  return answers.find(([count]) => count === edits)?.[1] ?? null;
}

function fastest(
  times: readonly BenchTimes[],
  timeOf: (one: BenchTimes) => Time | null,
): { readonly time: Time; readonly name: string } {
  let best: { time: Time; name: string } | null = null;
  for (const one of times) {
    const time = timeOf(one);
    if (time === null || (best !== null && best.time[0] <= time[0])) continue;
    best = {
      time,
      name: `${one.subject.split(" ")[0]}, ${one.threads === 1 ? "1 core" : `${one.threads} cores`}`,
    };
  }
  if (best === null) {
    throw new Error("benchmarks: a size has no time of an engine or of a peer, expected both");
  }
  return best;
}

/** A time to two digits, as the README and the page write it. */
export function twoDigits(milliseconds: number): string {
  return milliseconds >= 99.5 ? String(Math.round(milliseconds)) : milliseconds.toPrecision(2);
}

function keptTables(record: BenchRecord): string {
  const found = compare(record);
  const { date, machine, headDim, fewRowCount } = record;
  const withSpread = ([median, low, high]: Time) =>
    `${twoDigits(median)} (${twoDigits(low)}–${twoDigits(high)})`;
  const sizeOf = ({ queryCount, keyCount }: Comparison) =>
    `${queryCount.toLocaleString("en-US")} × ${keyCount.toLocaleString("en-US")}`;
  const main = found.map((one) => [
    sizeOf(one),
    withSpread(one.edit),
    `${withSpread(one.again)}, ${one.peer}`,
    `${twoDigits(one.again[0] / one.edit[0])} ×`,
    one.lostFrom === null ? `more than ${one.mostEdits}` : one.lostFrom.toLocaleString("en-US"),
  ]);
  const few = found.map((one) => [
    sizeOf(one),
    withSpread(one.fewRows),
    withSpread(one.fewRowsAgain),
    withSpread(one.rebuild),
    withSpread(one.rebuildOfPeer),
  ]);
  return [
    `Run of ${date} on ${machine.cpu}, ${machine.cores} cores, ${machine.system}, Deno ${machine.deno}; d = dv = ${headDim}.`,
    "",
    "| queries × keys | one edit, read all | computed again, fastest library | factor | loses from … edits a read |",
    "| - | - | - | - | - |",
    ...main.map((cells) => `| ${cells.join(" | ")} |`),
    "",
    `| queries × keys | one edit, read the same ${fewRowCount} rows | those rows computed again | from scratch: Attune | from scratch: fastest library |`,
    "| - | - | - | - | - |",
    ...few.map((cells) => `| ${cells.join(" | ")} |`),
  ].join("\n");
}
