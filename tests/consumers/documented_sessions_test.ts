// Full suite: it clones, installs from npm, runs the study of the README and drives a browser.
// Limit: 15 minutes.
//
// The README and the first page of the guide as a reader follows them, in an empty folder: files are written as they stand
// there, commands are run by bash, and what they print is what the page says.

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertGreater } from "../../testing/assert.ts";
import { type Block, blocksOf, readPage } from "../../testing/documentation.ts";
import { needsBrowser, openBrowser, openPage, readUntil } from "../../testing/pages.ts";
import { findProgram, requires } from "../../testing/requirements.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");
const npm = findProgram("npm") && findProgram("npx"), git = findProgram("git"), bash = findProgram("bash");
const needsNpm = requires("npm", npm && git && bash, "apt-get install npm git bash");

const START = "docs/guide/getting-started.md";
const blocks = { readme: blocksOf(await readPage("README.md")), start: blocksOf(await readPage(START)) };

/** What stands for the whole suite, which calls this test: the same command, told which tests to run. */
const EVERYDAY_TESTS = "npx -y deno@2.9.6 task test", SOME_TESTS = `${EVERYDAY_TESTS} tests/base/`;

/** An empty folder that is the reader's home, too. */
class Session implements AsyncDisposable {
  readonly folder: string;

  constructor() {
    this.folder = Deno.makeTempDirSync({ prefix: "attune-session-" });
  }

  /** Follows blocks; what a command printed must be in the `text` block after it. */
  async follow(list: readonly Block[]): Promise<void> {
    let printed = "";
    for (const { language, title, text } of list) {
      if (language === "sh") printed = await this.run(text);
      else if (language === "text") assertEquals(printed, text);
      else if (title !== "" && title !== "ignore") await Deno.writeTextFile(`${this.folder}/${title}`, text);
    }
  }

  /** Runs commands as one script of bash that ends at the first failure. */
  async run(script: string): Promise<string> {
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-euc", script.replace("ADDRESS", ROOT).replace(EVERYDAY_TESTS, SOME_TESTS)],
      cwd: this.folder,
      env: {
        HOME: this.folder,
        NO_COLOR: "1",
        NPM_CONFIG_FETCH_RETRIES: "5",
        PATH: `${folderOf(Deno.execPath())}:${Deno.env.get("PATH")}`,
      },
    }).output();
    const said = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assertEquals(code, 0, `${script}\n${said(stdout)}\n${said(stderr)}`);
    return said(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** The blocks of a section. */
function section(list: readonly Block[], name: string): Block[] {
  const found = list.filter((block) => block.section === name);
  assertGreater(found.length, 0, `there is no section "${name}" with blocks`);
  return found;
}

/** What every session of the first page begins with. */
const clone = blocks.start.filter(({ section }) => section === "");

Deno.test({
  name: "README: the commands work in an empty folder with a fresh home",
  ...needsNpm,
  fn: async () => {
    await using session = new Session();
    const commands = section(blocks.readme, "Install");
    assert(commands.some(({ text }) => text.includes(EVERYDAY_TESTS)));
    await session.follow(commands);
    const report = await Deno.readTextFile(`${session.folder}/attune/report/index.html`);
    assertGreater(report.length, 10_000);
    assert((await Deno.stat(`${session.folder}/attune/npm/attune-attention-0.1.0.tgz`)).isFile);
  },
});

for (const environment of ["Deno", "Node"]) {
  Deno.test({
    name: `${START}: ${environment}, from an empty folder to the first result`,
    ...needsNpm,
    fn: async () => {
      await using session = new Session();
      await session.follow([...clone, ...section(blocks.start, environment)]);
    },
  });
}

Deno.test({
  name: "README: the program prints the same in Node",
  ...needsNpm,
  fn: async () => {
    await using session = new Session();
    const [program, printed] = section(blocks.readme, "Use");
    const [install] = section(blocks.start, "Node");
    await session.follow([
      ...clone,
      install,
      { ...program, title: "readme.mjs" },
      { ...install, text: "node readme.mjs\n" },
      printed,
    ]);
  },
});

Deno.test({
  name:
    `${START}: Browser, from an empty folder to the first result; the README's program in the same browser`,
  ...(needsNpm.ignore ? needsNpm : needsBrowser),
  fn: async () => {
    await using session = new Session();
    await session.follow([...clone, ...section(blocks.start, "Browser")]);
    const [program, printed] = section(blocks.readme, "Use");
    const inPage = program.text.replace('"@attune/attention"', '"./attune.min.js"');
    await Deno.writeTextFile(
      `${session.folder}/readme.html`,
      `<!doctype html><title>README</title><script type="module">${inPage}</script>`,
    );

    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async ({ url }) => {
        const path = new URL(url).pathname;
        const type = path.endsWith(".js") ? "text/javascript" : "text/html";
        return await Deno.readFile(session.folder + path).then(
          (body) => new Response(body, { headers: { "content-type": type } }),
          () => new Response("", { status: 404 }),
        );
      },
    );
    const address = `http://127.0.0.1:${(server.addr as Deno.NetAddr).port}`;
    await using browser = await openBrowser();
    const page = await openPage(browser);
    let lines = "";
    page.on("console", (message) => {
      if (message.type() === "log") lines += message.text() + "\n";
    });
    await page.goto(`${address}/index.html`);
    await page.waitForFunction(`document.querySelector("output").value === "2.70"`);
    await page.goto(`${address}/readme.html`);
    const seen = () => Promise.resolve(lines);
    assertEquals(await readUntil(seen, () => lines.length >= printed.text.length), printed.text);
  },
});
