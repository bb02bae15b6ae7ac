// What the README and the guide say: programs print what is written below them, the README is short, and its times are those
// of the benchmark's kept run.

import { compare, type Comparison, twoDigits, withKeptTables } from "../../bench/display/kept_tables.ts";
import { loadBenchRecord } from "../../studies/scaling/bench_record.ts";
import {
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertStringIncludes,
} from "../../testing/assert.ts";
import { blocksOf, listPages, readPage } from "../../testing/documentation.ts";
import { ConsumerProject } from "../consumers/project.ts";

const MOST_WORDS = 900;
const pages = (await listPages()).filter((path) => path === "README.md" || path.startsWith("docs/guide/"));

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
      const { code, stdout, stderr } = await project.deno("run", "--quiet", file);
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

Deno.test("the README's times are those of the kept run", async () => {
  const readme = await readPage("README.md");
  const rows = compare(await loadBenchRecord());
  const cellsOf = ({ queryCount, keyCount, edit, again, lostFrom, mostEdits }: Comparison) => [
    `${queryCount.toLocaleString("en-US")} × ${keyCount.toLocaleString("en-US")}`,
    `${twoDigits(edit[0])} ms`,
    `${twoDigits(again[0])} ms`,
    lostFrom === null ? `more than ${mostEdits}` : lostFrom.toLocaleString("en-US"),
  ];
  const told = [...readme.matchAll(/^\| ([\d,]+ × .+) \|$/gm)].map(([, row]) =>
    row.split("|").map((cell) => cell.trim())
  );
  assertEquals(told, rows.map(cellsOf));

  const headline = rows.find(({ queryCount, keyCount }) => queryCount === 128 && keyCount === 16_384)!;
  const said = /take \*\*([\d.]+) ms\*\*[^]*?(\S+), \*\*([\d.]+) ms\*\*/.exec(readme)!.slice(1);
  const { edit, again, peer } = headline;
  assertEquals(said, [twoDigits(edit[0]), peer.split(",")[0], twoDigits(again[0])]);

  const times = rows.map(({ rebuild, rebuildOfPeer }) => Math.round(rebuild[0] / rebuildOfPeer[0]));
  assertEquals([Math.min(...times), Math.max(...times)], [6, 9]);
  for (const page of [readme, await readPage("docs/benchmarks.md")]) {
    assertStringIncludes(page.replace(/\s+/g, " "), "six to nine times faster");
  }
});

Deno.test("the tables of docs/benchmarks.md are those of the kept run", async () => {
  const page = await readPage("docs/benchmarks.md");
  // The formatter aligns columns.
  const plain = (text: string) =>
    text.replace(/ +\|/g, " |").replace(/-+ \|/g, "- |").replace(/\s*\n\s*/g, "\n");
  assertEquals(plain(page), plain(withKeptTables(page, await loadBenchRecord())));
});
