// What our kernel promises beyond the protocol: it stops and goes on, loses nothing, lets nobody in, and leaves nothing
// behind. `ATTUNE_LONG=1` asks for all repetitions.

import { stripVTControlCharacters } from "node:util";
import { KernelError } from "../../src/kernel/errors.ts";
import { KernelClient } from "../../src/kernel/kernel_client.ts";
import { KernelProcess } from "../../src/kernel/kernel_process.ts";
import { MessageCodec } from "../../src/kernel/protocol/codec.ts";
import { formatConnection, newConnection, parseConnection } from "../../src/kernel/protocol/connection.ts";
import { createMessage, type Message } from "../../src/kernel/protocol/message.ts";
import { Peer } from "../../src/kernel/zmtp/peer.ts";
import { assert, assertEquals, assertGreater } from "../../testing/assert.ts";
import { GPU } from "../backends_here.ts";
import { childOf, proxyCommand, rejectedBy, startProxy } from "../../testing/kernel/start_proxy.ts";
import { eventually } from "../../testing/kernel/protocol_checks.ts";

const isLong = Deno.env.get("ATTUNE_LONG") === "1";
const plain = (text: unknown) => stripVTControlCharacters(String(text));
const shown = (outputs: readonly Message[]) =>
  outputs.map(({ content }) =>
    content.text ?? plain((content.data as Record<string, string>)?.["text/plain"] ?? content.evalue)
  );

/** Whether a process is there; one that has ended and was not waited for is not. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    return !/^State:\s+[ZX]/m.test(await Deno.readTextFile(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

/** Runs a cell and stops it once it has begun. */
async function stop(kernel: KernelProcess, code: string): Promise<string> {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const running = kernel.client.execute(
    `Deno.jupyter.broadcast("display_data", { data: {}, metadata: {} }); ${code}`,
    { onOutput: () => resolve() },
  );
  await begun;
  await kernel.client.request("interrupt_request", {}, "control");
  return (await running).status;
}

Deno.test("proxy: a stop ends whatever runs, the state is kept, and the next cell runs", async () => {
  const cells = [
    "while (true) { count++; await new Promise((resolve) => setTimeout(resolve, 1)) }",
    "while (true) count++",
    "await new Promise((resolve) => setTimeout(resolve, 1)); while (true) count++",
    "while (true) { count++; await null }",
    "const spin = async () => { while (true) { count++; await new Promise((resolve) => setTimeout(resolve, 1)) } }; await spin()",
    "count++; setTimeout(() => { while (true); }, 1); await new Promise(() => {})",
    "count++; try { await new Promise(() => {}) } finally { count++ }",
    "async function* rows() { while (true) { await null; yield 1 } }; for await (const row of rows()) count += row",
    "count++; await Promise.all([new Promise(() => {}), new Promise(() => {})])",
    "count++; (async () => { while (true) await new Promise((resolve) => setTimeout(resolve, 1)) })(); await new Promise(() => {})",
  ];
  await using kernel = await startProxy();
  await kernel.client.execute("var count = 0");
  const pid = await childOf(kernel);
  let before = 0;
  const stops = isLong ? 100 : cells.length;
  for (let at = 0; at < stops; at++) {
    const code = cells[at % cells.length];
    assertEquals(await stop(kernel, code.replace("const spin", "var spin")), "error", code);
    const [count] = shown((await kernel.client.execute("count")).outputs);
    assertGreater(Number(count), before, code);
    before = Number(count);
  }
  assertEquals(await childOf(kernel), pid);
  // What was stopped does not go on.
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals(shown((await kernel.client.execute("count")).outputs), [String(before)]);
});

Deno.test("proxy: what an earlier cell has left running goes on when a later one is stopped", async () => {
  await using kernel = await startProxy();
  await kernel.client.execute(
    "var ticks = 0; (async () => { while (true) { ticks++; await new Promise((resolve) => setTimeout(resolve, 5)) } })(); 0",
  );
  assertEquals(await stop(kernel, "await new Promise(() => {})"), "error");
  const [before] = shown((await kernel.client.execute("ticks")).outputs);
  await eventually(
    "more ticks",
    async () => Number(shown((await kernel.client.execute("ticks")).outputs)[0]) > Number(before) + 3,
  );
});

Deno.test("proxy: a message to a comm is heard while a cell waits, and its handler can be stopped", async () => {
  const heard: Message[] = [];
  await using kernel = await startProxy({ onMessage: (message) => void heard.push(message) });
  const { client } = kernel;
  await client.execute(
    `var bridge = globalThis[Symbol.for("attune.kernel")]; var comm = bridge.openComm("test", {});
     var got = []; comm.onMessage = ({ data }) => { got.push(data.n); if (data.busy) while (true); }; 0`,
  );
  const id = heard.find(({ header }) => header.msg_type === "comm_open")?.content.comm_id;
  const waiting = client.execute(
    "while (got.length < 1) await new Promise((resolve) => setTimeout(resolve, 1)); got.length",
  );
  await client.tell("comm_msg", { comm_id: id, data: { n: 1 } });
  assertEquals(shown((await waiting).outputs), ["1"]);
  // Before a cell that was asked for later.
  await client.tell("comm_msg", { comm_id: id, data: { n: 2 } });
  assertEquals(shown((await client.execute("got.length")).outputs), ["2"]);
  const busy = await client.tell("comm_msg", { comm_id: id, data: { n: 3, busy: true } });
  const states = () =>
    heard.filter(({ header, parentHeader }) => header.msg_type === "status" && parentHeader?.msg_id === busy)
      .map(({ content }) => content.execution_state);
  await eventually("busy", () => states().length === 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await client.request("interrupt_request", {}, "control");
  await eventually("idle", () => states().length === 2);
  assertEquals(states(), ["busy", "idle"]);
  await client.tell("comm_msg", { comm_id: id, data: { n: 4 } });
  assertEquals(
    shown((await client.execute("got.join()")).outputs).map((text) => text?.toString().replaceAll('"', "")),
    ["1,2,3,4"],
  );
});

Deno.test("proxy: what a handler shows belongs to its message", async () => {
  const heard: Message[] = [];
  await using kernel = await startProxy({ onMessage: (message) => void heard.push(message) });
  await kernel.client.execute(
    `var comm = globalThis[Symbol.for("attune.kernel")].openComm("test", {});
     comm.onMessage = async ({ data }) => { console.log("first", data.n); await null; console.log("second", data.n); }; 0`,
  );
  const id = heard.find(({ header }) => header.msg_type === "comm_open")?.content.comm_id;
  const message = await kernel.client.tell("comm_msg", { comm_id: id, data: { n: 7 } });
  const of = () =>
    heard.filter(({ parentHeader }) => parentHeader?.msg_id === message)
      .map(({ header, content }) =>
        String(content.text ?? content.execution_state ?? header.msg_type).trim()
      );
  await eventually("idle", () => of().includes("idle"));
  assertEquals(of(), ["busy", "first 7", "second 7", "idle"]);
});

Deno.test("proxy: strangers, garbage and wrong signatures change nothing, and are counted", async () => {
  await using kernel = await startProxy();
  await kernel.client.execute("var untouched = 1");
  const file = (await Deno.readTextFile(`/proc/${kernel.pid}/cmdline`)).split("\0").find((word) =>
    word.endsWith(".json")
  );
  const connection = parseConnection(await Deno.readTextFile(file as string));
  const before = await rejectedBy(kernel);
  const { ip, ports } = connection;
  // Noise on every port.
  for (const port of Object.values(ports)) {
    for (let turn = 0; turn < 20; turn++) {
      const stream = await Deno.connect({ hostname: ip, port });
      const noise = crypto.getRandomValues(new Uint8Array(1000));
      if (turn % 2 === 0) noise.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3]);
      await stream.write(noise).catch(() => {});
      stream.close();
    }
  }
  // Frames that announce more than they bring.
  for (const name of ["shell", "control"] as const) {
    const stream = await Deno.connect({ hostname: ip, port: ports[name] });
    const peer = await Peer.open(stream, { type: "DEALER" });
    const size = new Uint8Array(9);
    size[0] = 2;
    new DataView(size.buffer).setBigUint64(1, 2n ** 29n);
    await stream.write(size);
    peer.close();
  }
  // The right words, signed by somebody else or not at all.
  const wrong = new MessageCodec("guessed");
  const evil = {
    code: "untouched = 2",
    silent: false,
    store_history: true,
    user_expressions: {},
    allow_stdin: false,
  };
  for (const name of ["shell", "control"] as const) {
    const peer = await Peer.open(await Deno.connect({ hostname: ip, port: ports[name] }), { type: "DEALER" });
    for (let turn = 0; turn < 50; turn++) {
      await peer.send(wrong.encode(createMessage("x", "execute_request", evil)));
      await peer.send(wrong.encode(createMessage("x", "shutdown_request", { restart: false })));
      await peer.send([
        new TextEncoder().encode("<IDS|MSG>"),
        new Uint8Array(),
        ...["{}", "{}", "{}", "{}"].map((part) => new TextEncoder().encode(part)),
      ]);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    peer.close();
  }
  await eventually(
    "all that is dropped to be counted",
    async () => await rejectedBy(kernel) >= before + 2 * 150,
  );
  assertEquals(shown((await kernel.client.execute("untouched")).outputs), ["1"]);
});

Deno.test("proxy: listens on loopback alone, and refuses a connection that asks for more", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, formatConnection({ ...newConnection(), ip: "0.0.0.0" }));
    const [command, ...args] = proxyCommand(file);
    const { code, stderr } = await new Deno.Command(command, { args }).output();
    assertEquals(code, 1);
    assert(new TextDecoder().decode(stderr).includes("0.0.0.0"));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("proxy: a kernel that dies is reported, and the process ends with a code", async () => {
  const kernel = await startProxy();
  const heard = kernel.client.execute("console.log('farewell'); Deno.exit(3)");
  const result = await heard.catch((error) => error);
  assert(result instanceof KernelError || result.status === "error", String(result));
  assertEquals(await kernel.shutdown(10_000), { code: 1, wasKilled: false });
});

Deno.test("proxy: nothing is left behind, whoever is killed", {
  ignore: Deno.build.os !== "linux",
}, async (t) => {
  for (const victim of ["proxy", "kernel behind"] as const) {
    for (const state of ["idle", "busy"] as const) {
      await t.step(`${victim}, ${state}`, async () => {
        const kernel = await startProxy();
        const child = await childOf(kernel);
        const running = state === "busy" ? kernel.client.execute("while (true);").catch(() => null) : null;
        await new Promise((resolve) => setTimeout(resolve, 200));
        Deno.kill(victim === "proxy" ? kernel.pid : child, "SIGKILL");
        await eventually(
          "the end of both",
          async () => !await isRunning(child) && !await isRunning(kernel.pid),
        );
        await running;
        await kernel.shutdown(0);
      });
    }
  }
  await t.step("shutdown while busy", async () => {
    const kernel = await startProxy();
    const child = await childOf(kernel);
    const running = kernel.client.execute("while (true);").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 200));
    await kernel.shutdown(20_000);
    await eventually("the end of both", async () => !await isRunning(child) && !await isRunning(kernel.pid));
    await running;
  });
});

Deno.test("proxy: packages are found in any folder, and the folder's own map goes first", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/helper.ts`,
      `export const own = 7;`,
    );
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports: { helper: "./helper.ts" } }));
    {
      await using kernel = await startProxy({ cwd: folder });
      const { outputs } = await kernel.client.execute(
        `import { DynamicAttention } from "@attune/attention"; import { slider } from "@attune/attention/widgets";
         import { own } from "helper"; const { attention } = await import("@attune/attention");
         [typeof DynamicAttention, typeof slider, typeof attention, own].join()`,
      );
      assertEquals(shown(outputs).map((text) => plain(text)), ['"function,function,function,7"']);
    }
    await Deno.writeTextFile(`${folder}/other.ts`, `export const other = true;`);
    await Deno.writeTextFile(
      `${folder}/deno.json`,
      JSON.stringify({ imports: { "@attune/attention": "./other.ts" } }),
    );
    await using kernel = await startProxy({ cwd: folder });
    assertEquals(
      shown((await kernel.client.execute(`import { other } from "@attune/attention"; other`)).outputs),
      ["true"],
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("proxy: permissions are what was said at the install, and cannot be had back", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await Deno.writeTextFile(`${folder}/in.txt`, "inside");
    await using kernel = await startProxy(
      { cwd: folder },
      ...["--allow-read", "--allow-net", "--allow-import", "--allow-env=HOME"],
    );
    const { client } = kernel;
    const ask = async (code: string) => plain(shown((await client.execute(code)).outputs).at(-1));
    assertEquals(await ask(`Deno.readTextFileSync("${folder}/in.txt")`), '"inside"');
    for (
      const code of [
        `Deno.writeTextFileSync("${folder}/out.txt", "")`,
        `import("node:child_process").then(({ execSync }) => execSync("true"))`,
        `await new Promise((_, reject) => {
           const code = "try { Deno.writeTextFileSync('${folder}/out.txt', ''); } catch (error) { postMessage(String(error)) }";
           const worker = new Worker("data:text/javascript," + encodeURIComponent(code), { type: "module" });
           worker.onmessage = ({ data }) => { worker.terminate(); reject(new Error(data)); };
         })`,
        `new Deno.Command("true").outputSync()`,
        `Deno.env.get("PATH")`,
      ]
    ) {
      assert(/NotCapable|Requires \w+ access/.test(await ask(code)), code);
    }
    // Our part goes on, since it has what it needs.
    assertEquals(await ask(`import { attention } from "@attune/attention"; typeof attention`), '"function"');
    assertEquals(await stop(kernel, "await new Promise(() => {})"), "error");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const NAMES = "Object.getOwnPropertyNames(globalThis).join()";
/** Comes with the first module of Node that is imported, in the stock kernel too. */
const OF_DENO = "nodeBootstrap";
/** The last values, as of the stock kernel's own prompt. */
const LAST_VALUES = ["_", "__", "___"];

Deno.test("proxy: cells see one symbol and one name of it, which nothing lists, and their own values alone", async () => {
  await using kernel = await startProxy();
  const stock = new Set((await namesOfStock()).split(","));
  const names = shown(
    (await kernel.client.execute(NAMES)).outputs,
  )[0] as string;
  const added = plain(names).replaceAll('"', "").split(",").filter((name) =>
    !stock.has(name) && name !== OF_DENO && !LAST_VALUES.includes(name)
  );
  assertEquals(added, ["__attune_kernel__"]);
  const isListed =
    `[Symbol.for("attune.kernel"), "__attune_kernel__"].map((name) => Object.getOwnPropertyDescriptor(globalThis, name).enumerable).join()`;
  assertEquals(shown((await kernel.client.execute(isListed)).outputs), ['"false,false"']);
  const { content } = await kernel.client.request("complete_request", { code: "att", cursor_pos: 3 });
  assertEquals((content.matches as string[]).filter((match) => match.includes("attune")), []);
});

async function namesOfStock(): Promise<string> {
  await using kernel = await KernelProcess.start();
  return plain(
    shown((await kernel.client.execute(NAMES)).outputs)[0],
  ).replaceAll('"', "");
}

Deno.test({
  name: "proxy: WebGPU is there where Deno has it, and an engine computes on it",
  ...GPU,
  async fn() {
    await using kernel = await startProxy();
    const run = async (code: string) => {
      const { outputs } = await kernel.client.execute(code);
      return shown(outputs).map((text) => plain(text));
    };
    const here = (await navigator.gpu.requestAdapter())?.info.description;
    assertEquals(await run("(await navigator.gpu.requestAdapter()).info.description"), [
      JSON.stringify(here),
    ]);
    await run(
      `import { DynamicAttention } from "@attune/attention";
       const live = await DynamicAttention.create({ query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[1], [2]], scale: 0, backend: "webgpu" });
       live.setValue(0, [4]); 0`,
    );
    assertEquals(await run("[live.stats().backend, ...(await live.read()).data].join()"), ['"webgpu,3"']);
  },
});

Deno.test(
  "proxy: ends when the front end that started it is gone",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const file = `${folder}/connection.json`;
      await Deno.writeTextFile(file, formatConnection(newConnection()));
      // A front end that starts a kernel, says its number, and is killed.
      const program = `const [command, ...args] = ${JSON.stringify(proxyCommand(file))};
      const child = new Deno.Command(command, { args, stdout: "null", stderr: "null", env: { JPY_PARENT_PID: String(Deno.pid) } }).spawn();
      console.log(child.pid); await child.status;`;
      const frontEnd = new Deno.Command(Deno.execPath(), {
        args: ["eval", program],
        stdout: "piped",
        stderr: "null",
      }).spawn();
      const { value } = await frontEnd.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
      const proxy = Number(value);
      let child = 0;
      {
        await using client = await KernelClient.connect(parseConnection(await Deno.readTextFile(file)), {
          timeoutMs: 120_000,
        });
        child = (client.info.attune as { child: number }).child;
      }
      assert(await isRunning(proxy) && await isRunning(child));
      frontEnd.kill("SIGKILL");
      await frontEnd.status;
      await eventually("the end of both", async () => !await isRunning(proxy) && !await isRunning(child));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

Deno.test("proxy: two front ends hear the same, and each has its own replies", async () => {
  await using kernel = await startProxy();
  const file = (await Deno.readTextFile(`/proc/${kernel.pid}/cmdline`)).split("\0").find((word) =>
    word.endsWith(".json")
  );
  const heard: Message[] = [];
  await using other = await KernelClient.connect(parseConnection(await Deno.readTextFile(file as string)), {
    onMessage: (message) => void heard.push(message),
  });
  await kernel.client.execute("console.log('for all')");
  await eventually("the stream", () => heard.some(({ content }) => content.text === "for all\n"));
  const [mine, theirs] = await Promise.all([kernel.client.execute("1"), other.execute("2")]);
  assertEquals([shown(mine.outputs), shown(theirs.outputs)], [["1"], ["2"]]);
});
