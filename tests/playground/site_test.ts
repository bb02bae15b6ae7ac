// The folder of the playground as it is built: the same bytes each time, one page that holds all it needs, and a gallery that
// says what the committed notebooks say. No browser.

import { sectionsOf, toHtml } from "../../tools/site/markdown.ts";
import { readContents } from "../../tools/site/pages/contents.ts";
import { buildSite } from "../../tools/site/build.ts";
import { assert, assertEquals, assertGreater, assertThrows } from "../../testing/assert.ts";

const ROOT = new URL("../../", import.meta.url);
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

Deno.test("site: two builds have the same bytes, below 5 MB a page", async () => {
  const [first, second] = [await buildSite(), await buildSite()];
  assertEquals([...first.keys()], [...second.keys()]);
  for (const [path, bytes] of first) assertEquals(bytes, second.get(path), path);
  assertGreater(5e6, first.get("index.html")!.length);
});

Deno.test("site: the page names nothing outside of itself but pages of the site", async () => {
  const files = await buildSite();
  const page = text(files.get("index.html"));
  // The program is one script; what is left is what a browser could load or a reader follow.
  const [, program] = /<script type="module">([^]*?)<\/script>/.exec(page)!;
  const markup = page.replace(program, "");
  const addresses = [...markup.matchAll(/\b(?:src|href|srcset|action|data|poster)="([^"]*)"/g)].map((
    [, to],
  ) => to);
  const outside = addresses.filter((to) => !to.startsWith("data:"));
  assertGreater(outside.length, 4);
  const pages = new Set((await readContents()).flatMap(({ pages }) => pages.map(({ path }) => path)));
  for (const to of outside) assert(pages.has(to) || to === "api/index.html", `the page names ${to}`);
  assertEquals([...markup.matchAll(/url\(|@import/g)].length, 0);
  assertEquals(
    [...program.matchAll(/(?<![.\w]|async )fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon/g)].length,
    0,
  );
});

Deno.test("site: the policy allows this program and this style, and no request", async () => {
  const page = text((await buildSite()).get("index.html"));
  const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)!;
  const hashOf = async (element: RegExp) => {
    const bytes = new TextEncoder().encode(element.exec(page)![1]);
    return `'sha256-${new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toBase64()}'`;
  };
  const script = /<script type="module">([^]*?)<\/script>/;
  const program = await hashOf(script);
  const style = await hashOf(/<style>([^]*?)<\/style>/);
  assertEquals(policy.split("; "), [
    "default-src 'none'",
    `script-src ${program} 'wasm-unsafe-eval'`,
    `style-src ${style}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ]);
  const markup = page.replace(script, "");
  assertEquals([...markup.matchAll(/\sstyle="|\son\w+="/g)].length, 0, "the policy would not let them in");
});

Deno.test("site: every application is shown, with figures and all of its numbers", async () => {
  const page = text((await buildSite()).get("index.html"));
  const applications = await Deno.readTextFile(new URL("docs/applications.md", ROOT));
  const titles = sectionsOf(applications).map(({ title }) => title);
  assertEquals([...page.matchAll(/<article>\s*<h3>([^<]*)/g)].map(([, title]) => title), titles);
  for (const article of page.split("<article>").slice(1)) {
    assert(/<img src="data:image\/svg\+xml;base64,/.test(article));
  }
  const cells = [...applications.matchAll(/^\| ([^|*]+?) +\|/gm)].map(([, cell]) => cell).filter((cell) =>
    !/^-+$|[`[_]/.test(cell)
  );
  assertGreater(cells.length, 30);
  for (const cell of cells) assert(page.includes(`>${cell.replaceAll("&", "&amp;")}</th>`), cell);
});

Deno.test("site: pictures are in the colours of light and of dark pages, for wide and narrow ones", async () => {
  const page = text((await buildSite()).get("index.html"));
  const pictures = page.split("<picture>").slice(1).map((rest) => rest.split("</picture>")[0]);
  assertGreater(pictures.length, 4);
  for (const picture of pictures) {
    const svgs = [...picture.matchAll(/data:image\/svg\+xml;base64,([^"]+)"/g)].map(([, svg]) =>
      text(Uint8Array.fromBase64(svg))
    );
    assertEquals(
      svgs.map((svg) => svg.includes("#e4e8ec")),
      [true, false, true, false],
      "the ink of dark pages",
    );
    assertEquals(
      svgs.map((svg) => svg.includes("#1d232a")),
      [false, true, false, true],
      "that of light ones",
    );
    assertEquals(svgs.map((svg) => /width="(\d+)"/.exec(svg)?.[1]), ["400", "400", "720", "720"]);
  }
});

Deno.test("site: notebooks elsewhere are linked to, and are not put into the folder", async () => {
  const files = await buildSite({ notebooks: "https://example.org/a&b/" });
  assertEquals([...files.keys()], ["index.html"]);
  assert(
    text(files.get("index.html")).includes('href="https://example.org/a&amp;b/03_online_learning.ipynb"'),
  );
});

Deno.test("site: markdown becomes HTML in which texts stay texts; what it does not know it refuses", () => {
  const html = toHtml(
    "A <b> & **bold** `x < y` [n](../notebooks/n.ipynb), [no](other.md)\n\n| a | b |\n| - | -: |\n| 1 | *2* |",
    (to) => to.endsWith(".ipynb") ? "n.ipynb" : null,
  );
  assert(
    html.startsWith(
      '<p>A &lt;b&gt; &amp; <strong>bold</strong> <code>x &lt; y</code> <a href="n.ipynb">n</a>, no</p>',
    ),
    html,
  );
  assert(html.includes('<tr><th scope="row">1</th><td><em>2</em></td></tr>'), html);
  for (
    const strange of [
      "# title",
      "![a](b.png)",
      "1. item",
      "```js\n```",
      "> quote",
      "<div>raw</div>",
      "| a |\n| 1 |",
    ]
  ) {
    assertThrows(() => toHtml(strange, () => null), Error, "markdown: a ");
  }
});
