// Links of the documentation and of the notebooks lead to files and headings that are there, and so does every page that a
// source names.

import { assertEquals, assertGreater } from "../../testing/assert.ts";
import { listPages, readPage } from "../../testing/documentation.ts";

const ROOT = new URL("../../", import.meta.url);
const texts = new Map<string, string>();
for (const page of await listPages()) texts.set(page, await readPage(page));

async function listFiles(...patterns: readonly string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "--cached", "--others", "--exclude-standard", ...patterns],
    cwd: ROOT,
  }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((path) => path !== "");
}

/** What a heading is called in a link, as hosts of repositories make it. */
function anchorOf(heading: string): string {
  return heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim().replaceAll(" ", "-");
}

function anchorsOf(markdown: string): Set<string> {
  const prose = markdown.replace(/^```[^]*?^```$/gm, "");
  return new Set([...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchorOf(heading)));
}

/** Targets of the links and pictures of a text that lead neither to the web nor to mail. */
function targetsOf(markdown: string): string[] {
  const prose = markdown.replace(/^```[^]*?^```$/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/i.test(target));
}

/** Why a link from the file `from` leads nowhere; null where it leads somewhere. */
async function faultOf(from: string, target: string): Promise<string | null> {
  const [path, anchor] = target.split("#", 2);
  const file = path === "" ? new URL(from, ROOT) : new URL(path, new URL(from, ROOT));
  if (!await Deno.stat(file).then(() => true, () => false)) return `${from}: ${target} is not there`;
  if (anchor === undefined || !file.pathname.endsWith(".md")) return null;
  return anchorsOf(await Deno.readTextFile(file)).has(anchor)
    ? null
    : `${from}: ${target} is no heading there`;
}

Deno.test("links of the pages lead somewhere", async () => {
  const links = [...texts].flatMap(([from, text]) =>
    targetsOf(text).map((target) => [from, target] as const)
  );
  assertGreater(links.length, 100);
  const faults = await Promise.all(links.map(([from, target]) => faultOf(from, target)));
  assertEquals(faults.filter((fault) => fault !== null), []);
});

Deno.test("links of the notebooks lead somewhere", async () => {
  const links: (readonly [string, string])[] = [];
  for (const path of await listFiles("*.ipynb")) {
    const { cells }: { cells: { cell_type: string; source: string | string[] }[] } = JSON.parse(
      await Deno.readTextFile(new URL(path, ROOT)),
    );
    for (const { cell_type, source } of cells) {
      if (cell_type !== "markdown") continue;
      links.push(...targetsOf([source].flat().join("")).map((target) => [path, target] as const));
    }
  }
  const faults = await Promise.all(links.map(([from, target]) => faultOf(from, target)));
  assertEquals(faults.filter((fault) => fault !== null), []);
});

Deno.test("pages that sources name are there", async () => {
  const faults: string[] = [];
  let count = 0;
  for (const path of await listFiles("*.ts", "deno.json", ".ci/*", ".github/*", "*.md", "*.ipynb")) {
    const text = await Deno.readTextFile(new URL(path, ROOT)).catch(() => "");
    for (const [, page] of text.matchAll(/\b(docs\/[\w\/-]+\.md)\b/g)) {
      count++;
      if (path !== "tests/repository/links_test.ts" && !texts.has(page)) faults.push(`${path}: ${page}`);
    }
  }
  assertGreater(count, 20);
  assertEquals(faults, []);
});

Deno.test("a link that leads nowhere is seen", async () => {
  assertEquals(await faultOf("README.md", "docs/guide/README.md#guide"), null);
  assertEquals(await faultOf("README.md", "docs/nothing.md"), "README.md: docs/nothing.md is not there");
  assertEquals(
    await faultOf("docs/guide/README.md", "#nothing"),
    "docs/guide/README.md: #nothing is no heading there",
  );
  assertEquals(targetsOf("[a](b.md) `[c](d.md)` ![e](f.png) [g](https://h)\n```\n[i](j.md)\n```\n"), [
    "b.md",
    "f.png",
  ]);
});
