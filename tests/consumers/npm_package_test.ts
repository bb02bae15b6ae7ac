// Full suite: Node 20, 22 and 24, TypeScript and Vite come from npm, and it drives a browser.
//
// The package of `deno task npm`, installed from its tarball: on the lines of Node that are in use, in Deno, in a project
// of Vite, in a page without any bundler, and under TypeScript's strictest options.

import type { Browser } from "playwright-core";
import { assert, assertEquals, assertLessOrEqual, assertMatch } from "../../testing/assert.ts";
import { readPage } from "../../testing/documentation.ts";
import { needsBrowser, openBrowser, openPage } from "../../testing/pages.ts";
import { findProgram, requires } from "../../testing/requirements.ts";
import { bundle } from "../../tools/bundle.ts";
import { buildPackage, ENTRY_POINTS, type NpmPackage, SCRIPT } from "../../tools/npm/build.ts";
import { assertRight } from "./bundled_program.ts";
import { ConsumerProject } from "./project.ts";

const npm = findProgram("npm"), npx = findProgram("npx");
const needsNpm = requires("npm", npx && npm, "apt-get install npm");
const needsBoth = needsNpm.ignore ? needsNpm : needsBrowser;
const VERSIONS = [20, 22, 24];
const VITE = "vite@8.4.0";
/** The oldest TypeScript that the declarations are for, and newer lines. */
const TYPESCRIPTS = ["5.7.3", "5.9.3", "7.0.2"];
/** Bytes of the script, compressed, that a change must not pass without a decision. */
const MOST_SCRIPT_BYTES = 200_000;

const NAMES = ENTRY_POINTS.map((point) => `@attune/attention${point.slice(1)}`);
/** The program of the other tests, as JavaScript that imports the package by its names. */
const program = await bundle(new URL("program.ts", import.meta.url), { external: NAMES, minify: false });

let folder = "", built: NpmPackage;
Deno.test.beforeAll(async () => {
  if (needsNpm.ignore) return;
  folder = await Deno.makeTempDir({ prefix: "attune-npm-test-" });
  built = await buildPackage(folder);
});
Deno.test.afterAll(async () => {
  if (folder !== "") await Deno.remove(folder, { recursive: true });
});

/** A project that npm made, with the package and others in it. */
async function npmProject(...packages: readonly string[]): Promise<ConsumerProject> {
  const project = await ConsumerProject.create({ "package.json": `{ "type": "module", "private": true }` });
  await Deno.remove(`${project.folder}/deno.json`);
  await succeed(project, npm!, "install", "--no-audit", "--no-fund", built.tarball, ...packages);
  return project;
}

/** Runs a program that must succeed without a warning. */
async function succeed(project: ConsumerProject, path: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await project.run(path, args);
  assertEquals([code, stderr], [0, ""], `${path} ${args.join(" ")}: ${stdout}`);
  return stdout;
}

for (const version of VERSIONS) {
  Deno.test({
    name: `the package computes on Node ${version}`,
    ...needsNpm,
    fn: async () => {
      await using project = await npmProject();
      await project.write("program.mjs", program);
      const seen = await succeed(project, npx!, "-y", `node@${version}`, "program.mjs");
      assertRight(seen, 2);
    },
  });
}

Deno.test({
  name: "the package computes in Deno, by npm: and by its bare name",
  ...needsNpm,
  fn: async () => {
    await using project = await npmProject();
    await project.write("program.mjs", program);
    await project.write("named.mjs", program.replaceAll('"@attune/', '"npm:@attune/'));
    for (const file of ["program.mjs", "named.mjs"]) {
      assertRight(await succeed(project, Deno.execPath(), "run", "--quiet", file), 2);
    }
  },
});

for (const version of TYPESCRIPTS) {
  Deno.test({
    name: `the declarations of the package hold under the strictest options of TypeScript ${version}`,
    ...needsNpm,
    fn: async () => {
      await using project = await npmProject(`typescript@${version}`);
      const types = NAMES.map((name, at) => `export type * as entry${at} from "${name}";`);
      await project.write("main.ts", types.join("\n") + USE);
      // Projects name the libraries of their own time, and those of a browser have no types of Node's.
      for (const lib of ["es2020", "es2022"]) {
        const compilerOptions = { ...STRICTEST, lib: [lib, "dom"] };
        await project.write("tsconfig.json", JSON.stringify({ compilerOptions }));
        assertEquals(await succeed(project, npx!, "tsc", "-p", "."), "");
      }
      await project.write("main.ts", types.join("\n") + USE.replace("[[1]]", "[[true]]"));
      const { code, stdout } = await project.run(npx!, ["tsc", "-p", "."]);
      assert(code !== 0, "a mistake was not seen");
      assertMatch(stdout, /Type 'boolean' is not assignable to type 'number'/);
    },
  });
}

Deno.test({
  name: "the script computes in a page without a bundler",
  ...needsBoth,
  fn: async () => {
    await using project = await npmProject();
    const imports = Object.fromEntries(
      NAMES.map((name) => [name, `./node_modules/@attune/attention/${SCRIPT}`]),
    );
    await project.write("program.js", program);
    await project.write(
      "index.html",
      page(`<script type="importmap">${JSON.stringify({ imports })}</script>`, "./program.js"),
    );
    assertRight(await seenInBrowser(project.folder), 1);
  },
});

Deno.test({
  name: "a project of Vite computes, built and served",
  ...needsBoth,
  fn: async () => {
    await using project = await npmProject(VITE);
    await project.write("program.js", program);
    await project.write("index.html", page("", "/program.js"));
    await succeed(project, npx!, "vite", "build", "--logLevel=error");
    assertRight(await seenInBrowser(`${project.folder}/dist`), 1);

    // It takes the next port where its own is taken, and prints which one it is.
    const served = new Deno.Command(`${project.folder}/node_modules/.bin/vite`, {
      args: ["--host=127.0.0.1"],
      cwd: project.folder,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const [log, rest] = served.stdout.tee(), drained = rest.pipeTo(new WritableStream());
    try {
      assertRight(await seenAt(await addressIn(log)), 1);
    } finally {
      served.kill();
      await served.status;
      await drained;
    }
  },
});

Deno.test({
  name: "the sizes are those that the documentation tells, and the script stays small",
  ...needsNpm,
  fn: async () => {
    const near = (bytes: number, told: string) => Math.abs(bytes - Number(told) * 1000) <= 0.03 * bytes;
    for (const page of ["README.md", "docs/guide/getting-started.md", "docs/guide/browser-and-node.md"]) {
      const [, told] = /(\d+)\s+kB\s+compressed/.exec(await readPage(page)) ?? [];
      assert(
        near(built.scriptGzipBytes, told),
        `${page} tells of ${told} kB, and they are ${built.scriptGzipBytes} bytes`,
      );
    }
    const [, minified] = /(\d+)\s+kB\s+minified/.exec(await readPage("docs/guide/getting-started.md")) ?? [];
    assert(
      near(built.scriptBytes, minified),
      `${minified} kB are told, and they are ${built.scriptBytes} bytes`,
    );
    assertLessOrEqual(built.scriptGzipBytes, MOST_SCRIPT_BYTES);
  },
});

/** A page that runs a program. */
function page(head: string, script: string): string {
  return `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${head}
<script type="module" src="${script}"></script>`;
}

/** What the program of a page saw, which a plain file server serves. */
async function seenInBrowser(root: string): Promise<string> {
  const TYPES: Record<string, string> = { js: "text/javascript", html: "text/html" };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ url }) => {
    const path = new URL(url).pathname.replace(/\/$/, "/index.html");
    const headers = { "content-type": TYPES[path.slice(path.lastIndexOf(".") + 1)] ?? "text/plain" };
    return await Deno.readFile(root + path)
      .then((body) => new Response(body, { headers }), () => new Response("not found", { status: 404 }));
  });
  return await seenAt(`http://127.0.0.1:${(server.addr as Deno.NetAddr).port}/`);
}

/** What the program of the page at an address saw. */
async function seenAt(address: string): Promise<string> {
  const browser: Browser = await openBrowser();
  try {
    const tab = await openPage(browser);
    const complaints: string[] = [];
    tab.on("pageerror", (error) => complaints.push(error.message));
    tab.on("console", (message) => message.type() === "debug" || complaints.push(message.text()));
    await tab.goto(address);
    await tab.waitForFunction("globalThis.seen");
    assertEquals(complaints, []);
    return await tab.evaluate("seen") as string;
  } finally {
    await browser.close();
  }
}

/** The address that a server prints. */
async function addressIn(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const [address] = /http:\/\/127\.0\.0\.1:\d+\//.exec(text) ?? [];
    if (address) return address;
  }
  throw new Error(`no server was started: ${text}`);
}

/** Declarations are looked at, and the use of what may be missing is checked. */
const STRICTEST = {
  ...{ strict: true, noEmit: true, skipLibCheck: false, types: [] },
  ...{ target: "es2022" },
  ...{ module: "nodenext", moduleResolution: "nodenext" },
  ...{ noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
  ...{ noPropertyAccessFromIndexSignature: true, noImplicitOverride: true },
};

const USE = `
import { DynamicAttention } from "@attune/attention";
const live = await DynamicAttention.create({ query: [[1]], key: [[1]], value: [[3]] });
const first: number | undefined = (await live.read()).data[0];
console.log(first);
`;
