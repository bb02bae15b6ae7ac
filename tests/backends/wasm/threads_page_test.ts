// Full suite: it drives a browser.
//
// Threads where the library does not run as a program of Deno: in a notebook's kernel, and bundled in a browser.

import { KernelProcess } from "../../../src/kernel/kernel_process.ts";
import { bundle } from "../../../tools/bundle.ts";
import { assertEquals } from "../../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage } from "../../../testing/pages.ts";
import type { ThreadsSeen } from "../../../testing/threads_page.ts";

const PAGE = new URL("../../../testing/threads_page.ts", import.meta.url);

for (const isDisposed of [true, false]) {
  const name = isDisposed ? "that are disposed" : "that are forgotten";
  Deno.test(`threads in a notebook: engines ${name} let the kernel shut down by itself`, async () => {
    await using kernel = await KernelProcess.start();
    const cell = async (code: string) => {
      const { outputs } = await kernel.client.execute(code);
      return outputs.map(({ content }) =>
        (content.data as Record<string, string>)?.["text/plain"] ?? content
      );
    };
    const specifier = (path: string) => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
    assertEquals(
      await cell(`
        import { DynamicAttention } from ${specifier("mod.ts")};
        import { WORKER_POOL } from ${specifier("src/backends/wasm/threads/worker_pool.ts")};
        const data = Float32Array.from({ length: 2048 * 128 }, (_, at) => Math.sin(at));
        const matrix = { data, shape: [2048, 128] };
        const options = { query: matrix, key: matrix, value: matrix, backend: "wasm" };
        const live = await DynamicAttention.create({ ...options, threads: 2 });
        await live.rebuild();
        live.setKey(0, data.subarray(128, 256));
        const { shape } = await live.read();
        JSON.stringify([shape, WORKER_POOL.size]);`),
      [`"[[2048,128],2]"`],
    );
    if (isDisposed) assertEquals(await cell("await live.dispose(); WORKER_POOL.size;"), ["0"]);
    assertEquals(await kernel.shutdown(60_000), { code: 0, wasKilled: false });
  });
}

const ISOLATING = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

Deno.test({
  name: "threads in a browser: two have the bits of one, and without isolation one does it all",
  ...needsBrowser,
  fn: async (t) => {
    await using browser = await openBrowser();
    for (const minify of [false, true]) {
      const script = await bundle(PAGE, { minify });
      await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
        const { pathname } = new URL(request.url);
        const isolating = pathname.startsWith("/isolated") ? ISOLATING : {};
        const isScript = pathname.endsWith(".js");
        const type = isScript ? "text/javascript" : "text/html";
        const page =
          `<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js"></script>`;
        return new Response(isScript ? script : page, {
          headers: { ...isolating, "content-type": `${type}; charset=utf-8` },
        });
      });
      const { port } = server.addr as Deno.NetAddr;
      for (const isIsolated of [true, false]) {
        await t.step(
          `${minify ? "minified" : "plain"}, ${isIsolated ? "isolated" : "not isolated"}`,
          async () => {
            const page = await openPage(browser);
            const complaints: string[] = [];
            page.on("console", (message) => complaints.push(message.text()));
            page.on("pageerror", (error) => complaints.push(error.message));
            await page.goto(`http://127.0.0.1:${port}/${isIsolated ? "isolated" : "open"}/`);
            await page.waitForFunction("globalThis.seeThreads");
            const seen = await page.evaluate("seeThreads()") as ThreadsSeen;
            assertEquals(seen, {
              isIsolated,
              workers: isIsolated ? 2 : 0,
              workersAfter: 0,
              hasSameBits: true,
              backend: "wasm",
            });
            assertEquals(complaints, []);
            await page.close();
          },
        );
      }
    }
  },
});
