// The client against the stock Deno kernel, which every Deno has: what a front end needs, and that nothing is left behind.

import { KernelError } from "../../src/kernel/errors.ts";
import { KernelClient } from "../../src/kernel/kernel_client.ts";
import { KernelProcess } from "../../src/kernel/kernel_process.ts";
import {
  type ChannelName,
  CHANNELS,
  type Connection,
  newConnection,
} from "../../src/kernel/protocol/connection.ts";
import { MessageCodec } from "../../src/kernel/protocol/codec.ts";
import { createMessage, type JsonObject, type Message } from "../../src/kernel/protocol/message.ts";
import { Peer } from "../../src/kernel/zmtp/peer.ts";
import { assert, assertEquals, assertGreater, assertRejects } from "../../testing/assert.ts";

const kinds = (outputs: readonly Message[]) => outputs.map(({ header }) => header.msg_type);
const contents = (outputs: readonly Message[]) => outputs.map(({ content }) => content);
const plain = (outputs: readonly Message[]) =>
  contents(outputs).map(({ data }) => (data as { "text/plain"?: string } | undefined)?.["text/plain"]);

Deno.test("kernel: executes, streams, shows, throws, asks, completes, and shuts down by itself", async (t) => {
  const folder = await Deno.makeTempDir();
  const files: string[] = [];
  const kernel = await KernelProcess.start({
    cwd: folder,
    command: (file) => {
      files.push(file);
      return [Deno.execPath(), "jupyter", "--kernel", "--conn", file];
    },
  });
  const { client } = kernel;
  try {
    await t.step("it says who it is, and its heart beats", async () => {
      assertEquals((client.info.language_info as { name: string }).name, "typescript");
      assertEquals(await client.ping(), true);
      assertEquals(await client.ping(), true);
    });
    await t.step("outputs come in order, while the cell runs", async () => {
      const seen: string[] = [];
      const running = client.execute(
        `console.log("one"); await Deno.jupyter.broadcast("display_data", { data: { "text/plain": "two" }, metadata: {} });
         await new Promise((resolve) => setTimeout(resolve, 50)); console.error("three"); ({ four: 4 })`,
        { onOutput: (output) => seen.push(output.header.msg_type) },
      );
      const { status, executionCount, outputs } = await running;
      assertEquals([status, executionCount], ["ok", 1]);
      assertEquals(kinds(outputs), ["stream", "display_data", "stream", "execute_result"]);
      assertEquals(seen, kinds(outputs));
      assertEquals(contents(outputs)[0], { name: "stdout", text: "one\n" });
      assertEquals(contents(outputs)[2], { name: "stderr", text: "three\n" });
      assertEquals(plain(outputs)[3], "{ four: 4 }");
    });
    await t.step("the state stays, and a silent execution has no number", async () => {
      await client.execute("let kept = 41");
      const silent = await client.execute("kept += 1", { silent: true });
      assertEquals(silent.outputs.length, 0);
      assertEquals(plain((await client.execute("kept")).outputs), ["42"]);
    });
    await t.step("an error of the code is an output and a status", async () => {
      const { status, outputs } = await client.execute(`throw new TypeError("no")`);
      assertEquals([status, kinds(outputs)], ["error", ["error"]]);
      const [{ ename, evalue }] = contents(outputs);
      assertEquals([ename, evalue], ["TypeError", "no"]);
    });
    await t.step("a question is answered, and one that nobody answers does not hang", async () => {
      const asked: string[] = [];
      const { outputs } = await client.execute(`prompt("who?")`, {
        onInput: (prompt) => {
          asked.push(prompt);
          return "me";
        },
      });
      assertEquals([plain(outputs), asked.length], [['"me"'], 1]);
      assert(asked[0].includes("who?"));
      assertEquals((await client.execute(`prompt("who?")`)).status, "ok");
    });
    await t.step("other requests have replies", async () => {
      const { content } = await client.request("complete_request", { code: "ke", cursor_pos: 2 });
      assert((content.matches as string[]).includes("kept"));
      const complete = await client.request("is_complete_request", { code: "1 +" });
      assertEquals(complete.header.msg_type, "is_complete_reply");
    });
    await t.step("bytes of a megabyte arrive whole", async () => {
      const { outputs } = await client.execute(`console.log("x".repeat(2 ** 20))`);
      const letters = contents(outputs).map(({ text }) => String(text)).join("");
      assertEquals(letters.length, 2 ** 20 + 1);
    });
    assertEquals(client.rejected, 0);
    assertEquals(files.map((file) => Deno.statSync(file).isFile), [true]);
    assertEquals(await kernel.shutdown(), { code: 0, wasKilled: false });
    assertEquals(await kernel.shutdown(), { code: 0, wasKilled: false }, "once more is the same");
    await assertRejects(() => client.execute("1"), KernelError);
    await assertRejects(() => Deno.stat(files[0]), Deno.errors.NotFound);
  } finally {
    await kernel.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("kernel: a signal stops an awaited loop that listens for it, and the state is kept", async () => {
  await using kernel = await KernelProcess.start();
  const { promise: started, resolve } = Promise.withResolvers<void>();
  const running = kernel.client.execute(
    `let turns = 0; const stop = new AbortController(); Deno.addSignalListener("SIGINT", () => stop.abort());
     console.log("here");
     while (!stop.signal.aborted) { turns++; await new Promise((resolve) => setTimeout(resolve, 5)); }
     "stopped"`,
    { onOutput: () => resolve() },
  );
  await started;
  await kernel.interrupt("signal");
  assertEquals(plain((await running).outputs).at(-1), '"stopped"');
  const [turns] = plain((await kernel.client.execute("turns")).outputs);
  assertGreater(Number(turns), 0);
});

Deno.test("kernel: a message stops a synchronous loop, and the state is kept", async () => {
  await using kernel = await KernelProcess.start();
  const { promise: started, resolve } = Promise.withResolvers<void>();
  await kernel.client.execute("let turns = 0");
  const running = kernel.client.execute(
    `Deno.jupyter.broadcast("display_data", { data: { "text/plain": "here" }, metadata: {} }); for (;;) turns++;`,
    { onOutput: () => resolve() },
  );
  await started;
  await kernel.interrupt("message");
  assertEquals((await running).status, "error");
  assertGreater(Number(plain((await kernel.client.execute("turns")).outputs)[0]), 0);
});

Deno.test("kernel: when it dies whoever waits is told, with its last words", async () => {
  const kernel = await KernelProcess.start();
  const running = kernel.client.execute(`console.log("farewell"); Deno.exit(7);`);
  const error = await assertRejects(() => running, KernelError);
  assert(/ended with code 7|has closed/.test(error.message), error.message);
  assertEquals((await kernel.shutdown()).wasKilled, false);
});

Deno.test("kernel: one that does not end by itself is killed", async () => {
  const kernel = await KernelProcess.start();
  const { promise: started, resolve } = Promise.withResolvers<void>();
  const running = kernel.client.execute(
    `Deno.jupyter.broadcast("display_data", { data: { "text/plain": "here" }, metadata: {} }); for (;;);`,
    { onOutput: () => resolve() },
  );
  const failed = assertRejects(() => running, KernelError);
  await started;
  assertEquals(await kernel.client.ping(), true, "its heart beats while it is busy");
  assertEquals(await kernel.shutdown(50), { code: null, wasKilled: true });
  await failed;
});

Deno.test("kernel: a program that is no kernel does not start, and says why", async () => {
  const files: string[] = [];
  const error = await assertRejects(
    () =>
      KernelProcess.start({
        command: (file) => {
          files.push(file);
          return [Deno.execPath(), "eval", `console.error("I am no kernel")`];
        },
      }),
    KernelError,
  );
  assert(error.message.includes("I am no kernel"), error.message);
  for (const file of files) await assertRejects(() => Deno.stat(file), Deno.errors.NotFound);
});

Deno.test("kernel: where nobody listens connecting ends in time", async () => {
  await assertRejects(() => KernelClient.connect(newConnection(), { timeoutMs: 50 }), KernelError);
});

/** The sockets of a kernel that a test plays. */
interface Stage {
  readonly connection: Connection;
  readonly shell: Promise<Peer>;
  readonly iopub: Promise<Peer>;
}

async function onStage(use: (stage: Stage) => Promise<void>): Promise<void> {
  const connection = newConnection();
  const types = { shell: "ROUTER", control: "ROUTER", stdin: "ROUTER", iopub: "XPUB", hb: "REP" } as const;
  const listeners = CHANNELS.map((channel) =>
    Deno.listen({ hostname: connection.ip, port: connection.ports[channel] })
  );
  const peers = CHANNELS.map(async (channel, at) =>
    await Peer.open(await listeners[at].accept(), { type: types[channel] })
  );
  const peerOf = (channel: ChannelName) => peers[CHANNELS.indexOf(channel)];
  try {
    await use({ connection, shell: peerOf("shell"), iopub: peerOf("iopub") });
  } finally {
    for (const listener of listeners) listener.close();
    for (const peer of await Promise.allSettled(peers)) if (peer.status === "fulfilled") peer.value.close();
  }
}

Deno.test("kernel: messages of somebody without the key are dropped and counted", () =>
  onStage(async ({ connection, shell, iopub }) => {
    const right = new MessageCodec(connection.key), wrong = new MessageCodec("guessed");
    let isLeaving = false;
    /** Answers questions: first as somebody who guessed the key, then rightly. */
    const answers = (async () => {
      for await (const frames of (await shell).messages()) {
        const is = { parent: right.decode(frames) };
        // Before the answer, behind which the client may go at once.
        await (await shell).send([new TextEncoder().encode("noise")]);
        for (const codec of [wrong, right]) {
          const name = codec === wrong ? "impostor" : "kernel";
          const idle = createMessage("k", "status", { execution_state: "idle" }, is);
          await (await shell).send(
            codec.encode(createMessage("k", "kernel_info_reply", { implementation: name }, is)),
          );
          await (await iopub).send(codec.encode(idle));
        }
      }
    })();
    // The client goes once it has been answered, and nobody reads what is written after that.
    const kernel = answers.catch((error) => {
      if (!isLeaving) throw error;
    });
    const client = await KernelClient.connect(connection);
    try {
      assertEquals(client.info.implementation, "kernel");
      assertGreater(client.rejected, 0);
    } finally {
      isLeaving = true;
      await client[Symbol.asyncDispose]();
    }
    await kernel;
  }));

Deno.test("kernel: outputs that come long after the idle are the cell's, also under another name", () =>
  onStage(async ({ connection, shell, iopub }) => {
    const codec = new MessageCodec(connection.key);
    const kernel = (async () => {
      let cell: Message | null = null;
      for await (const frames of (await shell).messages()) {
        const request = codec.decode(frames);
        const tell = async (type: string, content: JsonObject, parent: Message) =>
          await (await iopub).send(codec.encode(createMessage("k", type, content, { parent })));
        const reply = async (content: JsonObject) => {
          const type = request.header.msg_type.replace("request", "reply");
          await (await shell).send(codec.encode(createMessage("k", type, content, { parent: request })));
        };
        if (request.header.msg_type === "kernel_info_request") {
          await reply({ implementation: "Deno kernel" });
          await tell("status", { execution_state: "idle" }, request);
        } else if (cell === null) {
          cell = request;
          await reply({ status: "ok", execution_count: 1 });
          await tell("status", { execution_state: "idle" }, request);
        } else {
          // The fence: its idle comes early too.
          assertEquals(request.content.silent, true);
          await reply({ status: "ok" });
          await tell("status", { execution_state: "idle" }, request);
          await new Promise((resolve) => setTimeout(resolve, 100));
          await tell("execute_result", { data: { "text/plain": "late" } }, cell);
          await tell("stream", { name: "stdout", text: "later" }, request);
          await tell("attune_fence", {}, request);
        }
      }
    })();
    const client = await KernelClient.connect(connection);
    try {
      const { outputs, late, executionCount } = await client.execute("1");
      assertEquals([kinds(outputs), late, executionCount], [["execute_result", "stream"], 2, 1]);
    } finally {
      await client[Symbol.asyncDispose]();
    }
    await kernel;
  }));
