// Full suite: it drives a browser.
//
// The webgpu backend in a browser, whose WebGPU, shader compiler and software device are not those of Deno.

import { BROWSER_SWITCHES } from "../../../studies/browser.ts";
import { bundle } from "../../../tools/bundle.ts";
import { assertEquals, assertGreater, assertLess } from "../../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage } from "../../../testing/pages.ts";
import type { WebgpuSeen } from "../../../testing/webgpu_page.ts";

Deno.test({
  name: "webgpu in a browser: answers are the oracle's, through edits, moves and a lost device",
  ...needsBrowser,
  fn: async () => {
    const script = await bundle(new URL("../../../testing/webgpu_page.ts", import.meta.url), {
      minify: true,
    });
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
      const isScript = url.endsWith(".js");
      const page =
        `<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js"></script>`;
      const type = isScript ? "text/javascript" : "text/html";
      return new Response(isScript ? script : page, {
        headers: { "content-type": `${type}; charset=utf-8` },
      });
    });
    // Allows the software adapter.
    await using browser = await openBrowser([...BROWSER_SWITCHES, "--enable-unsafe-webgpu"]);
    const page = await openPage(browser);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => complaints.push(message.text()));
    await page.goto(`http://127.0.0.1:${(server.addr as Deno.NetAddr).port}/`);
    await page.waitForFunction("globalThis.seeWebgpu");
    const { adapter, arithmetic, rules, recovers } = await page.evaluate("seeWebgpu()") as WebgpuSeen;
    console.log(adapter, JSON.stringify(arithmetic), JSON.stringify(rules));
    assertEquals(Object.keys(rules).length, 4);
    for (const [name, { patched, refreshed, compared }] of Object.entries(rules)) {
      assertEquals(compared, 27, name);
      assertGreater(patched, 37 * 20, name);
      assertLess(refreshed, patched / 4, name);
    }
    assertEquals(recovers, true);
    assertEquals(complaints, []);
  },
});
