// Full suite: it drives a browser.
//
// The pages of the site as people meet them: wide and narrow, light and dark, with the keyboard. axe-core says what would keep
// somebody from using them.

import type { Browser, Page } from "playwright-core";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertStringIncludes,
} from "../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage } from "../../testing/pages.ts";
import { axe } from "../../tools/packages/axe.ts";
import { buildSite } from "../../tools/site/build.ts";
import { buildPages } from "../../tools/site/pages/build.ts";

/** One page of each kind. */
const PAGES = [
  "index.html",
  "guide/exact-or-stale.html",
  "benchmarks.html",
  "notebooks/03_online_learning.html",
];
const VIEWS = [
  { name: "wide and light", width: 1280, height: 900, colorScheme: "light" },
  { name: "wide and dark", width: 1280, height: 900, colorScheme: "dark" },
  { name: "narrow and dark", width: 390, height: 844, colorScheme: "dark" },
] as const;

let folder = "", browser: Browser;
/** All pages that are written by hand, and the notebooks; the reference is made of the same blocks. */
let written: string[] = [];
Deno.test.beforeAll(async () => {
  if (needsBrowser.ignore) return;
  folder = await Deno.makeTempDir({ prefix: "attune-site-" });
  const files = [...await buildSite(), ...await buildPages()];
  written = files.map(([path]) => path).filter((path) => path.endsWith(".html") && !path.startsWith("api/"));
  for (const [path, bytes] of files) {
    await Deno.mkdir(`${folder}/${path.slice(0, path.lastIndexOf("/") + 1)}`, { recursive: true });
    await Deno.writeFile(`${folder}/${path}`, bytes);
  }
  browser = await openBrowser();
});
Deno.test.afterAll(async () => {
  await browser?.close();
  if (folder !== "") await Deno.remove(folder, { recursive: true });
});

/** A page from the folder, without any server, and what it complains of. */
async function open(path: string, view: typeof VIEWS[number]): Promise<{ page: Page; complaints: string[] }> {
  const { width, height, colorScheme } = view;
  // The policy of the playground lets no script in but its own.
  const page = await openPage(browser, { viewport: { width, height }, colorScheme, bypassCSP: true });
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => request.url().startsWith("http") && complaints.push(request.url()));
  await page.goto(`file://${folder}/${path}`);
  return { page, complaints };
}

interface Violation {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary?: string }[];
}

for (const view of VIEWS) {
  Deno.test({
    name: `site: pages are for everybody, ${view.name}`,
    ...needsBrowser,
    fn: async () => {
      for (const path of PAGES) {
        const { page, complaints } = await open(path, view);
        await page.evaluate(axe.source);
        const violations = await page.evaluate(
          "axe.run({ preload: false, resultTypes: ['violations'] }).then(({ violations }) => violations)",
        ) as Violation[];
        const told = violations.map(({ id, nodes }) =>
          `${path}: ${id}: ${nodes[0].target} ${nodes[0].failureSummary}`
        );
        assertEquals(told, []);
        const [content, room] = await page.evaluate(
          "[document.documentElement.scrollWidth, innerWidth]",
        ) as number[];
        assertLessOrEqual(content, room, `${path} is wider than the window`);
        assertEquals(complaints, [], path);
        await page.close();
      }
    },
  });
}

/** Each block of code as it is laid out. */
const BLOCKS =
  `[...document.querySelectorAll("main pre")].filter((pre) => pre.clientWidth > 0).map((pre) => ({
  text: pre.textContent.slice(0, 60),
  isColumned: pre.classList.contains("columned"),
  excess: pre.scrollWidth - pre.clientWidth,
  isInside: pre.getBoundingClientRect().right <= innerWidth,
  overflow: getComputedStyle(pre).overflowX,
}))`;

interface Block {
  readonly text: string;
  readonly isColumned: boolean;
  readonly excess: number;
  readonly isInside: boolean;
  readonly overflow: string;
}

for (const view of [VIEWS[0], VIEWS[2]]) {
  Deno.test({
    name: `site: no block of code is wider than its box on any page, ${view.name}`,
    ...needsBrowser,
    fn: async () => {
      const { page } = await open("guide/many-machines.html", view);
      let blocks = 0;
      for (const path of written) {
        await page.goto(`file://${folder}/${path}`);
        for (const { text, isColumned, excess, isInside, overflow } of await page.evaluate<Block[]>(BLOCKS)) {
          blocks++;
          assert(isInside, `${path}: ${text} leaves the window`);
          // A drawing scrolls where a window has no room for its columns.
          if (isColumned && view.width < 1000) assertEquals(overflow, "auto", path);
          else assertLessOrEqual(excess, 0, `${path}: ${text}`);
        }
      }
      assertGreater(blocks, 150);
      await page.close();
    },
  });
}

Deno.test({
  name: "site: the search finds pages and names, with the keyboard alone",
  ...needsBrowser,
  fn: async () => {
    const { page, complaints } = await open("guide/exact-or-stale.html", VIEWS[0]);
    await page.keyboard.press("/");
    await page.keyboard.type("certif bound");
    await page.waitForSelector("#found li");
    await page.keyboard.press("Escape");
    assertEquals(await page.locator("#found li").count(), 0);
    await page.keyboard.type("OnlineLearner");
    await page.waitForSelector("#found li");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL(/api\/learning\//);
    assertStringIncludes(await page.title(), "OnlineLearner");
    assertGreater((await page.locator("main").innerText()).length, 200);
    assertEquals(complaints, []);
  },
});
