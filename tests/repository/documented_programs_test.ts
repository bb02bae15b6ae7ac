// What the README and the guide say: programs print what is written below them, the README is short, and its times are those
// of the benchmark's kept run.

import { withKeptTables, withKeptTimes } from "../../bench/display/kept_tables.ts";
import { loadBenchRecord, type Time } from "../../studies/scaling/bench_record.ts";
import {
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertStringIncludes,
} from "../../testing/assert.ts";
import { blocksOf, listPages, readPage } from "../../testing/documentation.ts";
import { ConsumerProject } from "../consumers/project.ts";

const MOST_WORDS = 900;
const pages = (await listPages()).filter((path) =>
  path === "README.md" || path.startsWith("docs/") && !path.startsWith("docs/internals/")
);
/** The permissions that a page names for its programs; all others need none. */
const PERMISSIONS: Readonly<Record<string, readonly string[]>> = {
  "docs/guide/durable.md": ["--allow-read", "--allow-write"],
};

for (const page of pages) {
  const blocks = blocksOf(await readPage(page));
  const printing = blocks.flatMap(({ language, title, text }, at) => {
    const next = blocks[at + 1];
    const isProgram = /^[jt]s$/.test(language) && title === "" && next?.language === "text";
    return isProgram ? [{ program: text, language, printed: next.text }] : [];
  });
  if (printing.length === 0) continue;
  Deno.test(`${page}: programs print what the page says`, async () => {
    await using project = await ConsumerProject.create({});
    for (const [at, { program, language, printed }] of printing.entries()) {
      const file = `program${at}.${language}`;
      await project.write(file, program);
      const { code, stdout, stderr } = await project.deno("run", "--quiet", ...PERMISSIONS[page] ?? [], file);
      assertEquals([code, stderr, stdout], [0, "", printed], program);
    }
  });
}

Deno.test("the guide has programs that print", async () => {
  const all = await Promise.all(pages.map(async (page) => blocksOf(await readPage(page))));
  assertGreater(all.flat().filter(({ language }) => language === "text").length, 9);
});

Deno.test(`the README has at most ${MOST_WORDS} words`, async () => {
  assertLessOrEqual((await readPage("README.md")).trim().split(/\s+/).length, MOST_WORDS);
});

/** The formatter aligns columns and breaks lines. */
const unaligned = (text: string) => text.replace(/ +\|/g, " |").replace(/-+ \|/g, "- |").replace(/\s+/g, " ");

Deno.test("the times of the README and of docs/benchmarks.md are those of the kept run", async () => {
  const record = await loadBenchRecord();
  for (
    const [page, write] of [["README.md", withKeptTimes], ["docs/benchmarks.md", withKeptTables]] as const
  ) {
    const text = await readPage(page);
    assertEquals(unaligned(text), unaligned(write(text, record)), `${page}: run \`deno task bench:keep\``);
  }
});

Deno.test("another run changes every time of the README, and nothing else", async () => {
  const record = await loadBenchRecord(), readme = await readPage("README.md");
  const twice = (time: Time | null): Time | null => time && [2 * time[0], 2 * time[1], 2 * time[2]];
  const slower = record.times.map((one) => ({
    ...one,
    rebuild: one.subject.startsWith("attune") ? twice(one.rebuild) : one.rebuild,
    answers: one.answers.map(([count, time]): [number, Time] => [count, twice(time)!]),
  }));
  const other = withKeptTimes(readme, { ...record, times: slower });
  const times = (text: string) => [...text.matchAll(/\b([\d.]+) ms\b/g)].map(([, number]) => Number(number));
  const [before, after] = [times(readme), times(other)];
  assertEquals(before.length, 10);
  after.forEach((ms, at) => assertAlmostEquals(ms / before[at], 2, 0.08));
  assertStringIncludes(unaligned(other), "onnxruntime-node is 12 to 18 times faster");
  const withoutNumbers = (text: string) => unaligned(text).replace(/[\d.]+ ms|\S+ to \S+ times/g, "");
  assertEquals(withoutNumbers(other), withoutNumbers(readme));
});
