// The tables of docs/benchmarks.md and the times of the README, made of the kept run: medians in milliseconds, with
// quartiles where there is room, and the edits from which computing again is faster.
//
// Invariant: on either side the fastest counts, of all subjects and thread counts.

import type { BenchRecord, BenchTimes, Time } from "../../studies/scaling/bench_record.ts";

const START = "<!-- tables of the kept run: deno task bench:keep writes them -->", END = "<!-- end -->";

/** `docs/benchmarks.md` with its tables and its factor written anew. */
export function withKeptTables(page: string, record: BenchRecord): string {
  const [head, rest] = page.split(START), tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error(`benchmarks: the page lacks ${START} or ${END}, expected both`);
  return replaced(
    `${head}${START}\n\n${keptTables(record)}\n\n${END}${tail}`,
    FACTOR,
    factorFromScratch(record),
  );
}

/** The size whose times open the README. */
const HEADLINE = { queryCount: 128, keyCount: 16_384 };
const HEADLINE_TIMES =
  /take \*\*[\d.]+ ms\*\*(; computing them again takes\s+the\s+fastest\s+library\s+here,) \S+, \*\*[\d.]+ ms\*\*/;
const README_ROWS = /(?:^\| [\d,]+ × .*\|\n)+/m;
const FACTOR = /\w+(?: to \w+)?(?=\s+times\s+faster)/;

/** The README with its two times, its table and its factor written anew. */
export function withKeptTimes(readme: string, record: BenchRecord): string {
  const found = compare(record);
  const headline = found.find(({ queryCount, keyCount }) =>
    queryCount === HEADLINE.queryCount && keyCount === HEADLINE.keyCount
  );
  if (!headline) throw new Error("benchmarks: the run lacks the size that the README opens with");
  const peer = headline.peer.split(",")[0];
  const rows = found.map(({ edit, again, ...one }) =>
    [sizeOf(one), `${twoDigits(edit[0])} ms`, `${twoDigits(again[0])} ms`, lostFromOf(one)].join(" | ")
  );
  let page = replaced(
    readme,
    HEADLINE_TIMES,
    `take **${twoDigits(headline.edit[0])} ms**$1 ${peer}, **${twoDigits(headline.again[0])} ms**`,
  );
  page = replaced(page, README_ROWS, rows.map((row) => `| ${row} |\n`).join(""));
  return replaced(page, FACTOR, factorFromScratch(record));
}

function replaced(page: string, pattern: RegExp, by: string): string {
  if (!pattern.test(page)) throw new Error(`benchmarks: the page lacks ${pattern}, expected it once`);
  return page.replace(pattern, by);
}

/** The factor from scratch by which the fastest library is faster, over all sizes: `six to nine`. */
function factorFromScratch(record: BenchRecord): string {
  const factors = compare(record).map(({ rebuild, rebuildOfPeer }) =>
    Math.round(rebuild[0] / rebuildOfPeer[0])
  );
  const least = Math.min(...factors), most = Math.max(...factors);
  const word = (factor: number) => most < WORDS.length ? WORDS[factor] : String(factor);
  return least === most ? word(least) : `${word(least)} to ${word(most)}`;
}

const WORDS = [
  "no",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
];

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

function sizeOf({ queryCount, keyCount }: Pick<Comparison, "queryCount" | "keyCount">): string {
  return `${queryCount.toLocaleString("en-US")} × ${keyCount.toLocaleString("en-US")}`;
}

function lostFromOf({ lostFrom, mostEdits }: Pick<Comparison, "lostFrom" | "mostEdits">): string {
  return lostFrom === null ? `more than ${mostEdits}` : lostFrom.toLocaleString("en-US");
}

function keptTables(record: BenchRecord): string {
  const found = compare(record);
  const { date, machine, headDim, fewRowCount } = record;
  const withSpread = ([median, low, high]: Time) =>
    `${twoDigits(median)} (${twoDigits(low)}–${twoDigits(high)})`;
  const main = found.map((one) => [
    sizeOf(one),
    withSpread(one.edit),
    `${withSpread(one.again)}, ${one.peer}`,
    `${twoDigits(one.again[0] / one.edit[0])} ×`,
    lostFromOf(one),
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
