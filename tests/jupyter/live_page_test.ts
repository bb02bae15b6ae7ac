// Full suite: it drives a browser.
//
// Live figures in a real browser: they draw and move off line, show the numbers of the engine, and live wherever front ends put
// their outputs.

import type { Browser, Locator, Page } from "playwright-core";
import { DynamicAttention } from "../../mod.ts";
import { liveAttention } from "../../src/jupyter/mod.ts";
import { assert, assertAlmostEquals, assertEquals, assertGreater } from "../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage, readUntil } from "../../testing/pages.ts";
import { exampleOptions, WORDS } from "../../testing/live_example.ts";
import { keepScreenshot } from "../../testing/screenshots.ts";

const HOSTILE = `<img src=x onerror="document.title='run'">`;

/** A page that is watched: whatever it asks for or complains about is kept. */
interface Watched {
  readonly page: Page;
  readonly complaints: string[];
  readonly requests: string[];
}

async function watched(browser: Browser, html: string, options: Parameters<Browser["newPage"]>[0] = {}) {
  const page = await openPage(browser, { viewport: { width: 1000, height: 760 }, ...options });
  const seen: Watched = { page, complaints: [], requests: [] };
  page.on("console", (message) => seen.complaints.push(message.text()));
  page.on("pageerror", (error) => seen.complaints.push(error.message));
  page.on("request", (request) => seen.requests.push(request.url()));
  const file = await Deno.makeTempFile({ suffix: ".html" });
  try {
    await Deno.writeTextFile(file, html);
    await page.goto(`file://${file}`);
  } finally {
    await Deno.remove(file);
  }
  return seen;
}

/** Nothing was said on the console and nothing asked for but the page itself. */
function assertQuiet({ complaints, requests }: Watched): void {
  assertEquals(complaints, []);
  assertEquals(requests.filter((url) => !url.startsWith("data:")).length, 1, String(requests));
}

function liveHosts(page: Page | ReturnType<Page["frameLocator"]>): Locator {
  return page.locator("[data-attune-live=ready]");
}

/** What the table says in full. */
async function numberIn(figure: Locator, name: string): Promise<number> {
  return Number(await figure.locator(`data[data-name="${name}"]`).getAttribute("value"));
}

/** Waits until something is as expected; fails by what it was last. */
async function becomes<T>(read: () => Promise<T>, expected: T): Promise<void> {
  assertEquals(await readUntil(read, (last) => last === expected), expected);
}

async function withBrowser(use: (browser: Browser) => Promise<void>): Promise<void> {
  await using browser = await openBrowser();
  await use(browser);
}

Deno.test({
  name: "live page: sliders move what the engine says, off line and without a word",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (browser) => {
      const options = exampleOptions();
      const seen = await watched(browser, await liveAttention(options).toPage());
      const figure = liveHosts(seen.page);
      await figure.waitFor();
      const choose = (name: string, label: string) =>
        figure.locator(`select[name="${name}"]`).selectOption({ label });
      const slide = (name: string, value: number) => figure.locator(`input[name="${name}"]`).fill(`${value}`);
      const { query, value } = options;
      const keys = (options.key as number[][]).map((row) => [...row]);
      const rule = { heads: 2, causal: { offset: 6 }, backend: "array" as const };
      /** What this Deno says, of all edits and of those that a row knows which missed them. */
      const engineSays = async (key: number[][], scale: number, softcap: number, row: number) => {
        await using engine = await DynamicAttention.create({ query, key, value, ...rule, scale, softcap });
        return { output: (await engine.read([row])).data, weights: await engine.weights(row) };
      };
      const readout = async () => await figure.locator(".readout").textContent();
      const expectShown = async (row: number, key: number, scale: number, softcap: number) => {
        const { weights } = await engineSays(keys, scale, softcap, row);
        await becomes(readout, `${WORDS[row]} → ${WORDS[key]}: ${weights[key].toPrecision(4)}`);
      };
      const original = keys.map((row) => [...row]);

      await choose("query to look at", "very");
      await choose("key to edit", "sat");
      await expectShown(9, 2, 0.5, 0);

      // A length: of the numbers that head 0 reads.
      await slide("edit", 2);
      keys[2] = keys[2].map((number, column) => column < 4 ? Math.fround(Math.fround(number) * 2) : number);
      await expectShown(9, 2, 0.5, 0);
      assertEquals(await numberIn(figure, "pending"), 1);
      const stale = (await engineSays(original, 0.5, 0, 9)).output;
      const exact = (await engineSays(keys, 0.5, 0, 9)).output;
      const distance = Math.hypot(...exact.map((number, at) => number - stale[at]));
      assertGreater(distance, 0);
      assertAlmostEquals(await numberIn(figure, "distance"), distance, 1e-6);
      assert(await numberIn(figure, "bound") >= distance);

      // An entry of another key.
      await choose("key to edit", "mat");
      await choose("what of it", "entry 3");
      await slide("edit", -1);
      keys[5][3] = Number(await figure.locator(`input[name="edit"]`).inputValue());
      assertAlmostEquals(keys[5][3], -1, 0.05);
      await expectShown(9, 5, 0.5, 0);
      assertEquals(await numberIn(figure, "pending"), 2);

      // Scale and softcap; what is pending stays so.
      await slide("scale", 1);
      await slide("softcap", 5);
      await expectShown(9, 5, 1, 5);
      assertEquals(await numberIn(figure, "pending"), 2);

      // By the keyboard: the threshold goes down to 2, which is reached.
      await figure.locator(`input[name="lazy threshold"]`).focus();
      await seen.page.keyboard.press("ArrowLeft");
      await becomes(() => numberIn(figure, "pending"), 0);
      assertEquals(await numberIn(figure, "distance"), 0);

      // An angle, one degree a key press, then everything anew.
      await choose("what of it", "its angle, towards the query");
      await figure.locator(`input[name="edit"]`).focus();
      for (let press = 0; press < 5; press++) await seen.page.keyboard.press("ArrowRight");
      assertEquals(await figure.locator("label", { hasText: "edit" }).locator("output").textContent(), "5°");
      await becomes(() => numberIn(figure, "pending"), 1);
      await figure.getByRole("button", { name: "catch up" }).click();
      await becomes(() => numberIn(figure, "pending"), 0);
      await figure.getByRole("button", { name: "start anew" }).click();
      for (const [row, words] of original.entries()) keys[row] = words;
      await expectShown(9, 5, 0.5, 0);
      assertQuiet(seen);
    }),
});

Deno.test({
  name: "live page: the map is picked with the pointer, a head with its picker",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (browser) => {
      const seen = await watched(browser, await liveAttention(exampleOptions()).toPage());
      const figure = liveHosts(seen.page);
      await figure.waitFor();
      const map = figure.locator("canvas.map");
      const box = (await map.boundingBox())!;
      await map.click({ position: { x: box.width - 8, y: box.height - 40 } });
      assertEquals(await figure.locator(`select[name="query to look at"]`).inputValue(), "11");
      assertEquals(await figure.locator(`select[name="key to edit"]`).inputValue(), "11");
      const readout = () => figure.locator(".readout").textContent();
      await becomes(async () => (await readout())?.startsWith("today → today: "), true);
      const before = await readout();
      await figure.locator(`select[name="head"]`).selectOption("1");
      await becomes(async () => (await readout()) === before, false);
      assert((await map.getAttribute("aria-label"))?.startsWith("Attention weights. the: most of "));
      const status = () => figure.locator("[role=status]").textContent();
      await becomes(async () => (await status())?.includes("Off by 0, at most"), true);
      assertQuiet(seen);
    }),
});

Deno.test({
  name: "live page: light, dark and narrow, with texts that stay texts",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (browser) => {
      const options = { ...exampleOptions(), title: HOSTILE, labels: WORDS.with(4, HOSTILE) };
      const html = await liveAttention(options).toPage();
      for (const [colorScheme, width] of [["light", 1000], ["dark", 1000], ["light", 390]] as const) {
        const seen = await watched(browser, html, { colorScheme, viewport: { width, height: 760 } });
        const figure = liveHosts(seen.page);
        await figure.waitFor();
        for (const key of ["1", "5"]) {
          await figure.locator(`select[name="key to edit"]`).selectOption(key);
          await figure.locator(`input[name="edit"]`).fill("2.4");
        }
        await figure.locator(`select[name="query to look at"]`).selectOption("9");
        await becomes(() => numberIn(figure, "pending"), 2);
        await becomes(() => figure.locator("h4").textContent(), "Output of very");
        assertEquals(await figure.locator("h3").textContent(), HOSTILE);
        assertEquals(await figure.locator("h3 *").count(), 0);
        assert(await seen.page.title() !== "run");
        assertEquals(await figure.locator(".figure.dark").count(), colorScheme === "dark" ? 1 : 0);
        assertEquals(await seen.page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0);
        await keepScreenshot(seen.page, `live-${colorScheme}-${width}`);
        assertQuiet(seen);
        await seen.page.close();
      }
    }),
});

/** How front ends put an output into their page. */
const FRONT_ENDS: Readonly<Record<string, (output: string) => string>> = {
  "two in one page": (output) => `<body>${output}<hr>${output}`,
  "JupyterLab: elements first, scripts made anew while they are in no page yet": (output) =>
    `<body data-jp-theme-light="false"><script>
      const host = document.createElement("div");
      host.innerHTML = ${JSON.stringify(output).replaceAll("<", "\\u003c")};
      for (const script of host.querySelectorAll("script")) {
        const copy = document.createElement("script");
        copy.textContent = script.textContent;
        script.replaceWith(copy);
      }
      setTimeout(() => document.body.append(host), 300);
    </script>`,
  "Notebook 6: scripts are run apart, before the output is in the page": (output) =>
    `<body style="background: #111"><script>
      const host = document.createElement("div");
      host.innerHTML = ${JSON.stringify(output).replaceAll("<", "\\u003c")};
      for (const script of host.querySelectorAll("script")) {
        const copy = document.createElement("script");
        copy.text = script.textContent;
        document.head.appendChild(copy).remove();
      }
      setTimeout(() => document.body.append(host), 300);
    </script>`,
  "a tab that is hidden at first": (output) =>
    `<body data-jp-theme-light="false"><main style="display: none">${output}</main><script>
      setTimeout(() => document.querySelector("main").style.display = "", 500);
    </script>`,
  "a shadow tree": (output) =>
    `<body class="vscode-dark" data-vscode-theme-kind="vscode-dark"><main></main><script>
      const tree = document.querySelector("main").attachShadow({ mode: "open" });
      tree.innerHTML = ${JSON.stringify(output).replaceAll("<", "\\u003c")};
      for (const script of tree.querySelectorAll("script")) {
        const copy = document.createElement("script");
        copy.textContent = script.textContent;
        script.replaceWith(copy);
      }
      if (!tree.querySelector("[data-attune-live]")) throw new Error("this page tests nothing");
    </script>`,
};

for (const [name, pageOf] of Object.entries(FRONT_ENDS)) {
  Deno.test({
    name: `live page: lives in ${name}`,
    ...needsBrowser,
    fn: () =>
      withBrowser(async (browser) => {
        const { "text/html": output } = await liveAttention(exampleOptions()).toDisplay();
        const seen = await watched(browser, `<!doctype html><meta charset="utf-8">${pageOf(output)}`);
        const count = name.startsWith("two") ? 2 : 1;
        await liveHosts(seen.page).nth(count - 1).waitFor();
        assertEquals(await seen.page.locator(".figure").count(), count);
        await becomes(() => seen.page.locator("data[data-name=pending]").count(), count);
        assertEquals(await seen.page.locator(".figure.dark").count(), count === 2 ? 0 : 1, "its theme");
        assertEquals(await seen.page.evaluate("globalThis.attuneLiveStart"), undefined);
        assertQuiet(seen);
      }),
  });
}

Deno.test({
  name: "live page: lives in a sandboxed frame that may run scripts, and is a picture in one that may not",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (browser) => {
      const page = (await liveAttention(exampleOptions()).toPage()).replaceAll("&", "&amp;").replaceAll(
        '"',
        "&quot;",
      );
      const frame = (sandbox: string) =>
        `<iframe sandbox="${sandbox}" srcdoc="${page}" width="900" height="700"></iframe>`;
      const seen = await watched(browser, `<!doctype html>${frame("allow-scripts")}${frame("")}`);
      await liveHosts(seen.page.frameLocator("iframe").first()).waitFor();
      const still = seen.page.frameLocator("iframe").last();
      await still.locator("[data-attune-live=waiting] img").waitFor();
      assertEquals(
        await still.locator("p").last().textContent(),
        "A row a query, a column a key. Where scripts run this figure has sliders.",
      );
      const asked = seen.complaints.filter((complaint) => !complaint.includes("Blocked script execution"));
      assertEquals(asked, []);
    }),
});

Deno.test({
  name: "live page: one that cannot start says why, and keeps its picture",
  ...needsBrowser,
  fn: () =>
    withBrowser(async (browser) => {
      const html = (await liveAttention(exampleOptions()).toPage()).replace(
        "&quot;scale&quot;:0.5",
        "&quot;scale&quot;:null",
      );
      const seen = await watched(browser, html);
      const host = seen.page.locator("[data-attune-live=failed]");
      await host.waitFor();
      assert(
        (await host.textContent())?.includes(
          "This figure could not start: DynamicAttention.create: scale is null",
        ),
      );
      assert(await host.locator("img").isVisible());
      assertQuiet(seen);
    }),
});
