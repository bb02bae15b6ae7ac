// The library bundled into a user's program, on the Node of this machine and in a browser.

import { assertEquals } from "../../testing/assert.ts";
import { needsBrowser, openBrowser, openPage } from "../../testing/pages.ts";
import { findProgram, requires } from "../../testing/requirements.ts";
import { assertRight, bundledProgram } from "./bundled_program.ts";

const OLDEST_NODE = 20;
const node = await findNode();

/** Node, where there is one that is not older than the oldest that the library is for. */
async function findNode(): Promise<string | undefined> {
  const path = findProgram("node");
  if (path === undefined) return undefined;
  const { stdout } = await new Deno.Command(path, { args: ["--version"] }).output();
  return parseInt(new TextDecoder().decode(stdout).slice(1)) >= OLDEST_NODE ? path : undefined;
}

Deno.test({
  name: "a bundled program computes on Node",
  ...requires(`Node ${OLDEST_NODE} or newer`, node, `npm install --global node@${OLDEST_NODE}`),
  fn: async () => {
    await using project = await bundledProgram();
    const { code, stdout, stderr } = await project.run(node as string, ["program.mjs"]);
    assertEquals([code, stderr], [0, ""]);
    assertRight(stdout, 2);
  },
});

Deno.test({
  name: "a bundled program computes in a browser",
  ...needsBrowser,
  fn: async () => {
    await using project = await bundledProgram();
    const program = await Deno.readTextFile(`${project.folder}/program.mjs`);
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
      const page =
        `<!doctype html><link rel="icon" href="data:,"><script type="module" src="it.js"></script>`;
      const [body, type] = url.endsWith(".js") ? [program, "text/javascript"] : [page, "text/html"];
      return new Response(body, { headers: { "content-type": `${type}; charset=utf-8` } });
    });
    await using browser = await openBrowser();
    const page = await openPage(browser);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => complaints.push(message.text()));
    await page.goto(`http://127.0.0.1:${(server.addr as Deno.NetAddr).port}/`);
    await page.waitForFunction("globalThis.seen");
    assertEquals(complaints, []);
    // A page that is not isolated has no shared memory, and so one thread.
    assertRight(await page.evaluate("seen") as string, 1);
  },
});
