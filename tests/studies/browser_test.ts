// Full suite: it drives a browser.
//
// The report in a real browser: it draws its figures off line and has nothing to complain about.

import type { Page } from "playwright-core";
import { assert, assertEquals, assertGreater, assertMatch } from "../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage } from "../../testing/pages.ts";

/** Writes the report of a short run to a folder. */
async function writeReport(folder: string): Promise<void> {
  const start = new URL("../../studies/start.ts", import.meta.url);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-read",
      "--allow-write",
      start.href,
      "--days=12",
      "--threshold=4",
      `--out=${folder}`,
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** The switch puts work in the place of time, and stays where it is when the surroundings change. */
async function checkSwitch(page: Page): Promise<void> {
  const costs = () =>
    page.evaluate<[title: string, cost: number, color: string]>(`(() => {
      const { layout, data } = document.getElementById("cost-against-error");
      return [layout.xaxis.title.text, data[0].x[0], layout.font.color];
    })()`);
  const [time, milliseconds, color] = await costs();
  assertMatch(time, /^milliseconds/);
  await page.locator("#cost-against-error .updatemenu-button").nth(1).dispatchEvent("click");
  await page.waitForFunction(
    `document.getElementById("cost-against-error").layout.xaxis.title.text.startsWith("multiply-adds")`,
  );
  const [work, multiplyAdds] = await costs();
  assertGreater(multiplyAdds, 1000 * milliseconds);
  const isLight = await page.evaluate(`matchMedia("(prefers-color-scheme: light)").matches`);
  await page.emulateMedia({ colorScheme: isLight ? "dark" : "light" });
  await page.waitForFunction(
    `document.getElementById("cost-against-error").layout.font.color !== ${JSON.stringify(color)}`,
  );
  await page.waitForFunction(
    `document.getElementById("cost-against-error").data[0].x[0] === ${multiplyAdds}`,
  );
  assertEquals((await costs())[0], work);
}

Deno.test({
  name: "report: draws in a browser, light, dark and narrow, without a word on the console",
  ...needsBrowser,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const browser = await openBrowser();
    try {
      await writeReport(folder);
      for (const [colorScheme, width] of [["light", 1200], ["dark", 1200], ["light", 390]] as const) {
        const page = await openPage(browser, { colorScheme, viewport: { width, height: 900 } });
        const complaints: string[] = [], requests: string[] = [];
        page.on("console", (message) => complaints.push(message.text()));
        page.on("pageerror", (error) => complaints.push(error.message));
        page.on("request", (request) => requests.push(request.url()));
        await page.goto(`file://${folder}/index.html`);
        await page.waitForSelector(".main-svg .trace");
        assertGreater(await page.locator(".js-plotly-plot").count(), 2);
        const scrolled = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        assertEquals(scrolled, 0, `the page is wider than its window of ${width}`);
        await checkSwitch(page);
        assertEquals(complaints, []);
        assertEquals(requests.filter((url) => !/^(file|data|blob):/.test(url)), []);
        await page.close();
      }
    } finally {
      await browser.close();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
