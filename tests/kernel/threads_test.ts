// Full suite: it starts many workers.
//
// Workers that cells start: what they print is shown below the cell that has started them, and they see the same as in the
// stock kernel.

import type { KernelOptions } from "../../src/kernel/kernel_process.ts";
import { KernelProcess } from "../../src/kernel/kernel_process.ts";
import type { Message } from "../../src/kernel/protocol/message.ts";
import { assert, assertEquals } from "../../testing/assert.ts";
import { startProxy } from "../../testing/kernel/start_proxy.ts";

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A kernel with what it has shown. */
interface Heard {
  readonly kernel: KernelProcess;
  /** What was printed that belongs to a message. */
  readonly printed: (parent: string) => string;
  /** Runs a cell until the kernel is idle; gives its name. */
  readonly run: (code: string) => Promise<string>;
}

async function startHeard(): Promise<Heard> {
  const heard: Message[] = [];
  const onMessage: KernelOptions["onMessage"] = (message) => void heard.push(message);
  const kernel = await startProxy({ onMessage });
  const of = (type: string, parent: string) =>
    heard.filter(({ header, parentHeader }) => header.msg_type === type && parentHeader?.msg_id === parent);
  const printed = (parent: string) => of("stream", parent).map(({ content }) => content.text).join("");
  const run = async (code: string) => {
    const { content, parentHeader } = await kernel.client.request("execute_request", { ...REQUEST, code });
    assertEquals(content.status, "ok", JSON.stringify(content));
    const id = parentHeader?.msg_id ?? "";
    await until(() => of("status", id).some(({ content }) => content.execution_state === "idle"), 5);
    return id;
  };
  return { kernel, printed, run };
}

const REQUEST = {
  silent: false,
  store_history: true,
  allow_stdin: false,
  stop_on_error: true,
  user_expressions: {},
};

async function until(holds: () => boolean, milliseconds = 50): Promise<void> {
  for (let tries = 0; !holds() && tries < 400; tries++) await sleep(milliseconds);
  assert(holds());
}

const START = `var start = (url, options = {}) => new Worker(url, { type: "module", ...options }),
    word = (worker) => new Promise((done) => worker.onmessage = ({ data }) => done(data)),
    data = (code) => "data:text/javascript," + encodeURIComponent(code);`;

Deno.test("what a worker prints is shown below the cell that has started it", async (t) => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/part.ts`, `export const part: string = "a part"`);
  await Deno.writeTextFile(
    `${folder}/own.ts`,
    `import { part } from "./part.ts"; console.log(part, import.meta.url === location.href, self.name); console.error("err");
     postMessage((await (await fetch("./part.ts")).text()).length)`,
  );
  await Deno.writeTextFile(
    `${folder}/node.mjs`,
    `import { workerData } from "node:worker_threads"; import process from "node:process";
     console.log(workerData, import.meta.filename === process.argv[1], ...process.argv.slice(1).map((word) => word.split("/").at(-1)))`,
  );
  const { kernel, printed, run } = await startHeard();
  await using _ = kernel;
  await run(START);
  const now: readonly (readonly [code: string, expected: string])[] = [
    [`await word(start("file://${folder}/own.ts", { name: "named" }))`, "a part true named\nerr\n"],
    [
      `await word(start(data("console.log('data', [1], { a: 2 }); console.table; postMessage(1); for (;;);")))`,
      "data [ 1 ] { a: 2 }\n",
    ],
    [
      `var url = URL.createObjectURL(new Blob(["console.log('blob', import.meta.main); postMessage(1)"], { type: "text/javascript" }));
       var made = start(url); URL.revokeObjectURL(url); await word(made)`,
      "blob true\n",
    ],
    [
      `await word(start(data(\`const inner = new Worker("data:text/javascript,console.log('inner');postMessage(1)", { type: "module" });
        inner.onmessage = () => postMessage(2)\`)))`,
      "inner\n",
    ],
    [
      `await word(start(data("Deno.stdout.writeSync(new TextEncoder().encode('raw\\\\n')); postMessage(1)")))`,
      "raw\n",
    ],
    [
      `await word(start(data("for (let i = 0; i < 3000; i++) console.log(i); postMessage(1)")))`,
      `${Array.from({ length: 3000 }, (_, i) => i).join("\n")}\n`,
    ],
    [
      `import { Worker as NodeWorker } from "node:worker_threads"; var { default: all } = await import("node:worker_threads");
       var end = (worker) => new Promise((done) => worker.on("exit", done));
       await end(new NodeWorker("const a = 'by node'; console.log(a)", { eval: true }))`,
      "by node\n",
    ],
    [
      `await end(new all.Worker(new URL("file://${folder}/node.mjs"), { workerData: 7, argv: ["x"] }))`,
      "7 true node.mjs x\n",
    ],
    [`await end(new NodeWorker("${folder}/node.mjs", { workerData: 8 }))`, "8 true node.mjs\n"],
    [
      `class Mine extends Worker { own = 1 } await word(new Mine(data("console.log('mine'); postMessage(1)"), { type: "module" }))`,
      "mine\n",
    ],
  ];
  for (const [code, expected] of now) {
    await t.step(code.slice(0, 120), async () => {
      // It is there when the cell is over: front ends take nothing that comes later for the cell's.
      assertEquals(printed(await run(code)), expected);
    });
  }
  await t.step("later ones too, and while the notebook computes", async () => {
    const first = await run(
      `var late = start(data("onmessage = () => { console.log('begins'); setTimeout(() => { console.log('late'); close() }, 300) }"));
       late.postMessage(1)`,
    );
    const second = run(`for (const end = Date.now() + 3000; Date.now() < end;); console.log("second")`);
    await until(() => printed(first) === "begins\nlate\n");
    assertEquals(printed(await second), "second\n");
  });
  await t.step("a stop loses nothing of it", async () => {
    const id = kernel.client.request("execute_request", {
      ...REQUEST,
      code:
        `var ticking = start(data("for (let i = 0; i < 5; i++) { console.log(i); await new Promise((done) => setTimeout(done, 100)) } console.log('end')"));
        await new Promise(() => {})`,
    });
    await sleep(300);
    await kernel.client.request("interrupt_request", {}, "control");
    const { parentHeader, content } = await id;
    assertEquals(content.ename, "Interrupted");
    await until(() => printed(parentHeader?.msg_id ?? "") === "0\n1\n2\n3\n4\nend\n");
  });
  await Deno.remove(folder, { recursive: true });
});

/** Code of workers' modules, which say what they see; a message each is all that a test compares. */
const MODULES: Readonly<Record<string, string>> = {
  "what is there":
    `postMessage([import.meta.url, location.href, String(location), location.protocol, location.pathname, self.name,
    location instanceof WorkerLocation, typeof Deno.mainModule, Object.keys(self).filter((key) => /^[a-z]/.test(key)).sort(),
    import.meta.filename, import.meta.dirname, typeof importScripts, postMessage.name, postMessage.length, close.name, fetch.name, fetch.length,
    process.argv.slice(1), Worker.name, Worker.length, Request.name, new Request("http://localhost/a").url, console.log.name, typeof console.clear])`,
  "addresses that are relative": `const seen = [];
    for (const look of [() => new Request("./a").url, () => new Worker("./nowhere", { type: "classic" }), () => fetch("http://[")]) {
      try { seen.push(String(await look())) } catch (error) { seen.push(error.name) } }
    postMessage(seen)`,
  "an error at the top": `const a = 1;\nthrow new RangeError("at the top")`,
  "an error later": `const a = 1;\n\nsetTimeout(() => { throw new RangeError("later") }, 5)`,
  "a rejection": `Promise.reject(new TypeError("rejected"))`,
  "an error of syntax": `const = 3`,
  "a module that is missing": `import "./nowhere.ts"`,
  "a stack": `function inner() { return new Error("here").stack } postMessage(inner())`,
  "whether it is the first": `postMessage(import.meta.main)`,
  "an echo":
    `onmessage = ({ data, ports }) => ports[0] ? ports[0].postMessage([data, ports.length]) : postMessage(data)`,
  "an end": `console.log("last"); close(); postMessage("after the end")`,
  "what it may":
    `postMessage(await Promise.all(["env", "read", "net", "run"].map(async (name) => (await Deno.permissions.query({ name })).state)))`,
};

Deno.test("a worker sees the same as in the stock kernel", async () => {
  const folder = await Deno.makeTempDir();
  for (const [at, code] of Object.values(MODULES).entries()) {
    await Deno.writeTextFile(`${folder}/m${at}.ts`, code);
  }
  const code = `
    const codes = ${JSON.stringify(Object.values(MODULES))}, said = [];
    const asData = (code) => "data:text/javascript;base64," + btoa(code);
    const hear = (worker) => new Promise((done) => {
      worker.onmessage = ({ data }) => done(["message", data]);
      worker.onerror = (event) => { event.preventDefault(); done(["error", event.message, event.filename, event.lineno, event.colno]) };
      worker.postMessage("hello"); setTimeout(() => done("nothing"), 2500);
    });
    const all = [];
    for (const [at, code] of codes.entries()) {
      for (const url of ["file://${folder}/m" + at + ".ts", asData(code)]) {
        all.push((async () => {
          const worker = new Worker(url, { type: "module", name: "n" + at }), heard = await hear(worker);
          worker.terminate();
          return [at, url.slice(0, 5), heard];
        })());
      }
    }
    said.push(...await Promise.all(all));
    for (const wrong of [() => new Worker("./relative.ts", { type: "module" }), () => new Worker("file:///a.ts"), () => new Worker(),
      () => Worker("data:,", {}), () => new Worker("data:text/javascript,", { type: "other" })]) {
      try { wrong(); said.push("made") } catch (error) { said.push([error.name, error.message]) }
    }
    const port = new MessageChannel(), echo = new Worker(asData(codes[9]), { type: "module" });
    const answer = new Promise((done) => port.port1.onmessage = ({ data }) => done(data));
    echo.postMessage("by port", [port.port2]); said.push(await answer, echo instanceof Worker, echo.constructor === Worker, String(echo));
    echo.terminate(); echo.terminate(); said.push(Worker.name, Worker.length, Object.getOwnPropertyNames(Worker.prototype).sort());
    console.log(JSON.stringify(said))`;
  const said = async (kernel: KernelProcess) => {
    const { outputs } = await kernel.client.execute(code, { settleMs: 100 });
    const text = outputs.filter(({ content }) => content.name === "stdout").map(({ content }) => content.text)
      .join("");
    return JSON.parse(
      text.split("\n").find((line) => line.startsWith("[[")) ??
        JSON.stringify(outputs.map(({ content }) => content)),
    );
  };
  await using ours = await startProxy();
  await using stock = await KernelProcess.start();
  assertEquals(await said(ours), await said(stock));
  await Deno.remove(folder, { recursive: true });
});
