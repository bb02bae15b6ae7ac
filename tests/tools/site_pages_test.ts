// The pages of the site as they are built: every link leads somewhere, nothing is asked of another host, and every page and
// public name can be found. No browser.

import { fileURLToPath } from "node:url";
import { buildPages } from "../../tools/site/pages/build.ts";
import { readContents, sitePath } from "../../tools/site/pages/contents.ts";
import { codeHtml, pageHtml, sectionsOf } from "../../tools/site/pages/markdown.ts";
import { listPages } from "../../testing/documentation.ts";
import { assert, assertEquals, assertGreater, assertStringIncludes } from "../../testing/assert.ts";

const files = await buildPages();
const text = (path: string) => new TextDecoder().decode(files.get(path));
const pages = [...files.keys()].filter((path) => path.endsWith(".html"));
/** What stands beside these pages, see `buildSite`. */
const BESIDE = /^(index\.html|notebooks\/\w+\.ipynb)$/;

/** Where a link of a page leads, as a path of the site; null where it leads to the web. */
function resolve(page: string, target: string): { path: string; anchor: string } | null {
  if (/^(https?|data|mailto):/.test(target)) return null;
  const { pathname, hash } = new URL(target, `file:///${page}`);
  return { path: decodeURIComponent(pathname.slice(1)), anchor: decodeURIComponent(hash.slice(1)) };
}

Deno.test("site pages: every link leads to a file and a heading", () => {
  const anchors = new Map(pages.map((path) => {
    return [path, new Set([...text(path).matchAll(/\sid="([^"]*)"/g)].map(([, id]) => unescape(id)))];
  }));
  const faults: string[] = [];
  let count = 0;
  for (const page of pages) {
    // In code and in scripts, what looks like a link is none.
    const markup = text(page).replace(/<(script|code|pre)\b[^]*?<\/\1>/g, "");
    for (const [, target] of markup.matchAll(/\s(?:href|src|srcset)="([^"]*)"/g)) {
      const to = resolve(page, unescape(target));
      if (to === null) continue;
      count++;
      if (!files.has(to.path)) {
        if (!BESIDE.test(to.path)) faults.push(`${page}: ${target}`);
      } else if (to.anchor !== "" && !page.startsWith("api/") && !anchors.get(to.path)?.has(to.anchor)) {
        faults.push(`${page}: ${target} (no such heading)`);
      }
    }
  }
  assertGreater(count, 10_000);
  assertEquals(faults, []);
});

function unescape(text: string): string {
  return text.replaceAll("&#x2F;", "/").replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll(
    "&amp;",
    "&",
  );
}

Deno.test("site pages: nothing is loaded from another host, and no page knows where it was written", () => {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  for (const page of pages) {
    assert(!unescape(text(page)).includes(root), page);
    const loaded = text(page).matchAll(
      /<(?:script|img|iframe|source|link)\b[^>]*\s(?:src|srcset|href)="(https?:[^"]*)"/g,
    );
    assertEquals([...loaded].map(([, address]) => address), [], page);
  }
});

Deno.test("site pages: all pages of the documentation are there, with a title and a place in the contents", async () => {
  const told = (await listPages()).filter((path) => path.startsWith("docs/"));
  const contents = (await readContents()).flatMap(({ pages }) => pages);
  assertGreater(told.length, 20);
  for (const source of told) {
    assert(contents.some((page) => page.source === source), `${source} is in no chapter`);
    assertStringIncludes(text(sitePath(source)), "<h1 ");
  }
  assertEquals(sitePath("docs/guide/README.md"), "guide/index.html");
});

Deno.test("site pages: the guide stands in the order of its own list, which names every page of it", async () => {
  const [guide] = await readContents();
  const list = await Deno.readTextFile(new URL("../../docs/guide/README.md", import.meta.url));
  const numbered = [...list.matchAll(/^\d+\. \[[^\]]+\]\(([\w-]+\.md)\)/gm)].map(([, name]) => name);
  assertGreater(numbered.length, 10);
  const ofGuide = guide.pages.map(({ source }) => source).filter((source) =>
    source.startsWith("docs/guide/")
  );
  assertEquals(ofGuide, ["README.md", ...numbered].map((name) => `docs/guide/${name}`));
});

Deno.test("site pages: the reference leads back to the guide and to every entry point, and imports by their names", async () => {
  const root = new URL("../../", import.meta.url);
  const { exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  for (
    const [page, name] of [
      ["api/~/DynamicAttention.html", "@attune/attention"],
      ["api/learning/~/OnlineLearner.html", "@attune/attention/learning"],
      ["api/npz/~/Tensor.html", "@attune/attention/npz"], // of which the usage imports a type
    ]
  ) {
    const html = text(page);
    assertStringIncludes(html, ` } from &quot;${name}&quot;;`);
    assert(!/ from &quot;(\.|learning|npz)&quot;/.test(html), `${page} imports what no program can`);
    const links = [...html.matchAll(/<a href="([^"]+)"/g)].map(([, target]) => resolve(page, target)?.path);
    for (const entry of Object.keys(exports)) {
      assert(links.includes(`api${entry.slice(1)}/index.html`), `${page} has no link to ${entry}`);
    }
    assert(links.includes("guide/index.html"), `${page} has no link to the guide`);
  }
});

Deno.test("site pages: cells of heatmaps have sharp edges", () => {
  const pictures = [...files.keys()].filter((path) => path.endsWith(".svg")).map(text);
  const heatmaps = pictures.filter((svg) => svg.includes("<image"));
  assertGreater(heatmaps.length, 2);
  for (const svg of heatmaps) assertStringIncludes(svg, "image-rendering:pixelated");
});

Deno.test("site pages: the search knows headings and public names", () => {
  const entries: { title: string; page: string; path: string }[] = JSON.parse(
    text("search_index.js").slice("globalThis.attuneSearchEntries = ".length, -2),
  );
  const pathsOf = (title: string) => entries.filter((entry) => entry.title === title).map(({ path }) => path);
  assert(pathsOf("Which one?").includes("guide/exact-or-stale.html#which-one"));
  assertEquals(pathsOf("Changelog: Added").length, 2, "a heading of several sections names its page");
  assertEquals(pathsOf("Added"), []);
  assert(pathsOf("OnlineLearner").some((path) => path.startsWith("api/learning/")));
  for (const { path } of entries) assert(files.has(path.split("#")[0]), path);
});

Deno.test("site pages: texts stay texts, and code is coloured", () => {
  const html = pageHtml("# A & B\n\n`<b>` [x](y.md)\n\n```ts\nconst a = '<b>';\n```\n", (to) => `to-${to}`);
  assertStringIncludes(html, '<h1 id="a--b">A &amp; B</h1>');
  assertStringIncludes(html, "<code>&lt;b&gt;</code>");
  assertStringIncludes(html, 'href="to-y.md"');
  assertStringIncludes(html, '<span class="hljs-keyword">const</span>');
  assertEquals(
    pageHtml("```sh a.sh\nls\n```\n\n| | b |\n| - | - |\n| c | d |", (to) => to).replace(
      /<code>.*<\/code>/,
      "ls",
    ).split(
      "<tbody>",
    )[0],
    '<p class="file">a.sh</p>\n<pre tabindex="0">ls</pre>\n' +
      '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>\n<thead>\n<tr>\n<td></td>\n<th>b</th>\n' +
      "</tr>\n</thead>\n",
    "a file has its name above it, and a corner without words is no heading",
  );
  assertEquals(codeHtml("<b>", "none"), '<pre class="columned" tabindex="0"><code>&lt;b&gt;</code></pre>\n');
  assertEquals(sectionsOf(html), [{ anchor: "a--b", heading: "A & B", text: "<b> x const a = '<b>' ;" }]);
});
