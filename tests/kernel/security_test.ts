// What a second user of the machine can do to a kernel: a process with another number of a user, which knows all ports and
// no secret. And what somebody can do who hears a message of the kernel and sends it back.

import { encodeLinkFrame } from "../../src/kernel/link/frames.ts";
import type { KernelProcess } from "../../src/kernel/kernel_process.ts";
import { MessageCodec } from "../../src/kernel/protocol/codec.ts";
import { parseConnection } from "../../src/kernel/protocol/connection.ts";
import { createMessage } from "../../src/kernel/protocol/message.ts";
import { LinkServer } from "../../src/kernel/proxy/link_server.ts";
import { Peer } from "../../src/kernel/zmtp/peer.ts";
import { assert, assertEquals, assertGreater } from "../../testing/assert.ts";
import { eventually } from "../../testing/kernel/protocol_checks.ts";
import { childOf, rejectedBy, startProxy } from "../../testing/kernel/start_proxy.ts";
import { requires } from "../../testing/requirements.ts";

const NOBODY = 65534;
const isLinuxRoot = Deno.build.os === "linux" && Deno.uid() === 0;
const ROOT = Deno.build.os === "linux"
  ? requires("a root who can play another user", isLinuxRoot ? "root" : undefined, "sudo deno task test")
  : { ignore: true };

async function connectionOf(kernel: KernelProcess) {
  const words = (await Deno.readTextFile(`/proc/${kernel.pid}/cmdline`)).split("\0");
  return parseConnection(await Deno.readTextFile(words.find((word) => word.endsWith(".json")) as string));
}

/** The ports on loopback on which a process listens. */
async function portsOf(pid: number): Promise<number[]> {
  const inodes = new Set<string>();
  for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
    const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
    const [, inode] = /^socket:\[(\d+)\]$/.exec(target) ?? [];
    if (inode) inodes.add(inode);
  }
  const lines = (await Deno.readTextFile("/proc/net/tcp")).split("\n").slice(1).map((line) =>
    line.trim().split(/\s+/)
  );
  return lines.filter((words) => words[3] === "0A" && inodes.has(words[9]))
    .map((words) => parseInt(words[1].split(":")[1], 16));
}

/** A program of another user; says what it prints. */
async function asNobody(code: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command("/usr/bin/python3", {
    args: ["-c", code, ...args],
    uid: NOBODY,
    gid: NOBODY,
    cwd: "/",
    clearEnv: true,
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).trim();
}

const LISTEN = `
import socket, sys, time
heard = b""
for port in sys.argv[1:]:
    stream = socket.create_connection(("127.0.0.1", int(port)), 5)
    stream.settimeout(1)
    try:
        stream.sendall(b"\\xff" + bytes(8) + b"\\x7f\\x03\\x00NULL" + bytes(48))
        stream.sendall(b"\\x04\\x19\\x05READY\\x0bSocket-Type\\x00\\x00\\x00\\x03SUB")
        stream.sendall(b"\\x00\\x01\\x01")
        while True:
            got = stream.recv(65536)
            if not got: break
            heard += got
    except (socket.timeout, ConnectionError): pass
print(len(heard))
`;
const HOLD = `
import socket, sys, time
held = []
for turn in range(600):
    for port in sys.argv[1:]:
        try:
            stream = socket.create_connection(("127.0.0.1", int(port)), 2)
            stream.settimeout(2)
            stream.sendall(b"\\xff" + bytes(8) + b"\\x7f\\x03\\x00NULL" + bytes(48) + b"\\x04\\x1c\\x05READY\\x0bSocket-Type\\x00\\x00\\x00\\x06DEALER")
            held.append(stream)
        except OSError: pass
    if len(held) > 900: break
print("held", flush=True)
time.sleep(float(3))
`;

Deno.test({
  name: "replay S1, S5: another user hears nothing on the kernel's ports, and keeps nobody out",
  ...ROOT,
  fn: async (t) => {
    await using kernel = await startProxy();
    const { ports } = await connectionOf(kernel);
    const own = await portsOf(kernel.pid);
    assertEquals(own.length, 6, "five of the protocol, and the line to the part inside");
    await t.step("hears nothing", async () => {
      const listening = asNobody(LISTEN, ...own.map(String));
      await kernel.client.execute(
        `console.log("a secret"); await new Promise((resolve) => setTimeout(resolve, 500))`,
      );
      assertEquals(await listening, "0");
      assertGreater(await rejectedBy(kernel), 4);
    });
    await t.step("keeps nobody out", async () => {
      const holding = asNobody(HOLD, ...own.map(String));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      for (
        const [name, type] of [["shell", "DEALER"], ["iopub", "SUB"], ["hb", "REQ"], [
          "control",
          "DEALER",
        ]] as const
      ) {
        const peer = await Peer.open(await Deno.connect({ port: ports[name] }), { type });
        peer.close();
      }
      assertEquals((await kernel.client.execute("1 + 1")).status, "ok");
      await holding;
    });
  },
});

Deno.test({
  name: "replay S1: what the kernel behind is told to execute holds no secret",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using kernel = await startProxy();
    const child = await childOf(kernel);
    const text = await Deno.readTextFile(`/proc/${child}/cmdline`);
    assertEquals(text.includes("token"), false);
    for await (const { name } of Deno.readDir("/tmp")) {
      if (!/^attune-[0-9a-f]+$/.test(name)) continue;
      const info = await Deno.lstat(`/tmp/${name}`).catch(() => null);
      if (info?.isDirectory) assertEquals((info.mode ?? 0) & 0o077, 0, name);
    }
  },
});

Deno.test("replay S1: a token lets in once, and who is connected is not replaced", async () => {
  using server = new LinkServer();
  const { lines: [hello] } = server.renew();
  const speak = async (token: string, said: number[]) => {
    const stream = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await stream.write(encodeLinkFrame({ type: "hello", token }));
    const listen = async () => {
      const bytes = new Uint8Array(1000);
      for (let count; (count = await stream.read(bytes).catch(() => null)) !== null;) said.push(count);
    };
    return [stream, listen()] as const;
  };
  const mine: number[] = [], theirs: number[] = [];
  const [stream, ended] = await speak(hello, mine);
  await eventually("the line", () => {
    server.tell({ type: "word" });
    return mine.length > 0;
  });
  const [, theirEnd] = await speak(hello, theirs);
  await theirEnd;
  const before = mine.length;
  server.tell({ type: "more" });
  await eventually("one more word", () => mine.length > before);
  assertEquals(theirs, []);
  stream.close();
  await ended;
});

Deno.test("a line on which nobody listens any more is left for another of the same kernel", async () => {
  using server = new LinkServer();
  const { lines } = server.renew();
  assert(lines.length > 1);
  const streams: Deno.TcpConn[] = [], words = lines.map(() => 0), ends: Promise<void>[] = [];
  for (const [at, token] of lines.entries()) {
    const stream = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await stream.write(encodeLinkFrame({ type: "hello", token }));
    const listen = async () => {
      const bytes = new Uint8Array(1000);
      while (await stream.read(bytes).catch(() => null) !== null) words[at]++;
    };
    streams.push(stream);
    ends.push(listen());
  }
  await eventually("all lines", () => !server.isShort);
  for (let line = 1; line <= lines.length; line++) {
    server.tell({ type: "word" });
    await eventually("one more line to be used", () => words.filter((count) => count > 0).length === line);
    assertEquals(server.switchLine(), line < lines.length);
  }
  assertEquals(words, lines.map(() => 1));
  assert(server.isShort);
  for (const stream of streams) stream.close();
  await Promise.all(ends);
});

Deno.test("replay S4: a message that came, or that the kernel has sent, is not handled again", async () => {
  await using kernel = await startProxy();
  const connection = await connectionOf(kernel);
  const codec = new MessageCodec(connection.key);
  const peer = await Peer.open(await Deno.connect({ port: connection.ports.shell }), { type: "DEALER" });
  await kernel.client.execute("var count = 0");
  const frames = codec.encode(
    createMessage("s", "execute_request", {
      code: "count++",
      silent: true,
      store_history: false,
      allow_stdin: false,
    }),
  );
  const before = await rejectedBy(kernel);
  for (let turn = 0; turn < 5; turn++) await peer.send(frames);
  await eventually("four to be dropped", async () => await rejectedBy(kernel) === before + 4);
  assertEquals((await kernel.client.execute("count")).outputs[0].content.data !== undefined, true);
  const { outputs } = await kernel.client.execute("String(count)");
  assert(JSON.stringify(outputs[0].content).includes("1"));
  // What the kernel itself has signed comes back with other buffers.
  const listener = await Peer.open(await Deno.connect({ port: connection.ports.iopub }), { type: "SUB" });
  await listener.send([Uint8Array.of(1)]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await kernel.client.execute(`globalThis[Symbol.for("attune.kernel")].openComm("t", {}); 0`);
  for await (const told of listener.messages()) {
    if (!new TextDecoder().decode(told[3]).includes("comm_open")) continue;
    const dropped = await rejectedBy(kernel);
    await peer.send([...told.slice(1), Uint8Array.of(6, 6, 6)]);
    await eventually("one more to be dropped", async () => await rejectedBy(kernel) === dropped + 1);
    break;
  }
  listener.close();
  peer.close();
});

Deno.test("replay S5: who has not signed anything says little, and the oldest of them makes room", async (t) => {
  await using kernel = await startProxy();
  const { ports } = await connectionOf(kernel);
  const open = async (port: number, type: "DEALER" | "SUB") =>
    await Peer.open(await Deno.connect({ port }), { type });
  await t.step("many frames, and many bytes", async () => {
    for (const frames of [new Array(1000).fill(new Uint8Array()), [new Uint8Array(1e6)]]) {
      const peer = await open(ports.shell, "DEALER");
      await peer.send(frames).catch(() => {});
      for await (const _ of peer.messages());
      assert(peer.isClosed);
    }
  });
  await t.step("many topics", async () => {
    const peer = await open(ports.iopub, "SUB");
    for (let topic = 0; topic < 200; topic++) {
      await peer.send([Uint8Array.of(1, topic)]).catch(() => {});
    }
    for await (const _ of peer.messages());
  });
  await t.step("many silent ones", async () => {
    const held: Peer[] = [];
    for (let at = 0; at < 200; at++) held.push(await open(ports.shell, "DEALER"));
    assertEquals((await kernel.client.execute("1 + 1")).status, "ok");
    const [first] = held;
    for await (const _ of first.messages());
    assert(first.isClosed);
    for (const peer of held) peer.close();
  });
  await t.step("buffers before a token", async () => {
    using server = new LinkServer();
    const stream = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const head = new Uint8Array(8);
    new DataView(head.buffer).setUint32(0, 10, true);
    new DataView(head.buffer).setUint32(4, 2 ** 20, true);
    await stream.write(head);
    assertEquals(await stream.read(new Uint8Array(1)), null);
    stream.close();
  });
});
