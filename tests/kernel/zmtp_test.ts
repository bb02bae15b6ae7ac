// The wire protocol of ZeroMQ, from both ends: against itself, against libzmq, and against those who speak something else.

import { ProtocolError } from "../../src/kernel/errors.ts";
import { ByteReader, EndOfStream } from "../../src/kernel/zmtp/byte_reader.ts";
import { encodeCommand, encodeMessage, readFrame } from "../../src/kernel/zmtp/frames.ts";
import { encodeIntroduction } from "../../src/kernel/zmtp/handshake.ts";
import { type Frames, Peer, type PeerOptions } from "../../src/kernel/zmtp/peer.ts";
import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";
import { findPython, requires } from "../../testing/requirements.ts";
import { Random } from "../../testing/random.ts";

const bytes = (words: string) => new TextEncoder().encode(words);
const texts = (frames: Frames) => frames.map((frame) => new TextDecoder().decode(frame));

/** Gives bytes in pieces of all sizes. */
function sourceOf(stream: Uint8Array, random = new Random(1)) {
  let at = 0;
  return {
    read: (into: Uint8Array) => {
      if (at === stream.length) return Promise.resolve(null);
      const count = Math.min(into.length, stream.length - at, 1 + random.below(70_000));
      into.set(stream.subarray(at, at + count));
      at += count;
      return Promise.resolve(count);
    },
  };
}

/** Both ends of a connection over loopback. */
async function connected<T>(use: (client: Deno.Conn, server: Deno.Conn) => Promise<T>): Promise<T> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const [client, server] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port }),
    listener.accept(),
  ]);
  try {
    return await use(client, server);
  } finally {
    for (const end of [client, server]) {
      try {
        end.close();
      } catch {
        // A peer has closed it.
      }
    }
  }
}

async function open(stream: Deno.Conn, options: PeerOptions): Promise<Peer> {
  return await Peer.open(stream, options);
}

Deno.test("zmtp: bytes are given out once and in order, in whatever pieces they come and are asked for", async () => {
  const random = new Random(2);
  const stream = Uint8Array.from({ length: 400_000 }, () => random.below(256));
  const reader = new ByteReader(sourceOf(stream, random));
  let at = 0;
  for (const size of [0, 1, 7, 65_536, 65_537, 100_000, 3, 20, 90_000]) {
    assertEquals(await reader.take(size), stream.slice(at, at + size));
    at += size;
  }
  await assertRejects(() => reader.take(stream.length), EndOfStream);
});

Deno.test("zmtp: frames have the bytes that the specification says", async () => {
  assertEquals(encodeMessage([bytes("ab"), new Uint8Array()]), Uint8Array.of(1, 2, 97, 98, 0, 0));
  assertEquals(encodeCommand(bytes("x")), Uint8Array.of(4, 1, 120));
  const long = encodeMessage([new Uint8Array(256)]);
  assertEquals(long.slice(0, 9), Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 1, 0));
  const frame = await readFrame(new ByteReader(sourceOf(long)), 256);
  assertEquals([frame.body.length, frame.more, frame.command], [256, false, false]);
});

Deno.test("zmtp: a frame that is too long is refused before room is made for it, as are unknown flags", async () => {
  const huge = Uint8Array.of(2, 255, 255, 255, 255, 255, 255, 255, 255);
  const error = await assertRejects(() => readFrame(new ByteReader(sourceOf(huge)), 1000), ProtocolError);
  assert(error.message.endsWith("expected at most 1000"), error.message);
  await assertRejects(() => readFrame(new ByteReader(sourceOf(Uint8Array.of(8, 0))), 1000), ProtocolError);
});

Deno.test("zmtp: two peers greet each other and exchange messages of all sizes, in order", async () => {
  await connected(async (client, server) => {
    const [dealer, router] = await Promise.all([
      open(client, { type: "DEALER", identity: bytes("me") }),
      open(server, { type: "ROUTER" }),
    ]);
    assertEquals(texts([router.introduction.identity]), ["me"]);
    assertEquals([dealer.introduction.type, router.introduction.type], ["ROUTER", "DEALER"]);
    const sizes = [0, 1, 255, 256, 65_535, 65_536, 3_000_000];
    const sent = sizes.map((size) => [new Uint8Array(size).fill(size % 251), bytes(`${size}`)]);
    const received = (async () => {
      const all: Frames[] = [];
      for await (const frames of router.messages()) if (all.push(frames) === sent.length) break;
      return all;
    })();
    await Promise.all(sent.map((frames) => dealer.send(frames)));
    assertEquals(await received, sent);
    assert(router.isClosed, "who stops listening has closed");
    assertEquals((await dealer.messages().next()).done, true);
    await assertRejects(() => dealer.send([bytes("late")]), EndOfStream);
  });
});

Deno.test("zmtp: a PING is answered with its context and shows in no message", async () => {
  await connected(async (client, server) => {
    const [peer] = await Promise.all([
      open(client, { type: "SUB" }),
      server.write(encodeIntroduction("PUB", new Uint8Array())),
    ]);
    const next = peer.messages().next();
    await server.write(encodeCommand(bytes("\x04PING\0\x0actx")));
    await server.write(encodeMessage([bytes("news")]));
    assertEquals(texts((await next).value as Frames), ["news"]);
    const reader = new ByteReader(server);
    await reader.take(encodeIntroduction("SUB", new Uint8Array()).length);
    assertEquals(texts([(await readFrame(reader, 100)).body]), ["\x04PONGctx"]);
    peer.close();
  });
});

for (
  const [name, words] of [
    ["HTTP", bytes("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + "x".repeat(100))],
    ["an older ZMTP", Uint8Array.of(0xff, ...Array(8).fill(0), 0x7f, 1, ...Array(60).fill(0))],
    ["a socket that does not fit", encodeIntroduction("SUB", new Uint8Array())],
    ["a READY that lies about its lengths", lying()],
    ["another mechanism", encodeIntroduction("DEALER", new Uint8Array()).with(12, 67)],
  ] as const
) {
  Deno.test(`zmtp: a peer that speaks ${name} is refused and cut off`, async () => {
    await connected(async (client, server) => {
      await client.write(words as Uint8Array);
      await assertRejects(() => open(server, { type: "ROUTER" }), ProtocolError);
      await assertRejects(() => server.write(bytes("x")), Error);
    });
  });
}

function lying(): Uint8Array<ArrayBuffer> {
  const introduction = encodeIntroduction("DEALER", new Uint8Array());
  // The length of the name of the first property.
  return introduction.with(64 + 2 + 6, 200);
}

Deno.test("zmtp: who says nothing is cut off in time", async () => {
  await connected(async (_client, server) => {
    await assertRejects(() => open(server, { type: "ROUTER", handshakeMs: 20 }), Error);
  });
});

Deno.test("zmtp: messages above the limit end the connection, many empty frames too", async () => {
  for (const frames of [[new Uint8Array(2000)], Array.from({ length: 1100 }, () => new Uint8Array())]) {
    await connected(async (client, server) => {
      const [dealer, router] = await Promise.all([
        open(client, { type: "DEALER" }),
        open(server, { type: "ROUTER", messageLimit: 1000 }),
      ]);
      const next = router.messages().next();
      await dealer.send(frames);
      await assertRejects(() => next, ProtocolError);
      assert(router.isClosed);
      dealer.close();
    });
  }
});

const python = findPython("zmq");

/** libzmq as ROUTER and PUB, and as DEALER and SUB that connect to us. */
const LIBZMQ = `
import sys, zmq
context = zmq.Context()
router, pub = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
ports = [s.bind_to_random_port("tcp://127.0.0.1") for s in (router, pub)]
print(*ports, flush=True)
theirs = sys.stdin.readline().split()
dealer, sub = context.socket(zmq.DEALER), context.socket(zmq.SUB)
dealer.setsockopt(zmq.IDENTITY, b"python")
dealer.connect("tcp://127.0.0.1:" + theirs[0])
sub.setsockopt(zmq.SUBSCRIBE, b"topic")
sub.connect("tcp://127.0.0.1:" + theirs[1])
frames = router.recv_multipart()
router.send_multipart(frames + [b"x" * 3000000])
assert pub.recv() == b"\\x01"
pub.send_multipart([b"news", b""])
dealer.send_multipart([b"hello", b"y" * 3000000])
assert dealer.recv_multipart() == [b"back", b""]
print(sub.recv_multipart(), flush=True)
context.destroy(linger=1000)
`;

Deno.test({
  name: "zmtp: libzmq understands us, from either end",
  ...requires("pyzmq", python, "apt-get install python3-zmq"),
  fn: async () => {
    const child = new Deno.Command(python as string, {
      args: ["-c", LIBZMQ],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const listeners = [0, 1].map(() => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
    const said = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
    const line = async () => {
      let text = "";
      while (!text.endsWith("\n")) text += (await said.next()).value ?? "\n";
      return text.trim();
    };
    const stdin = child.stdin.getWriter();
    const peers: Peer[] = [];
    const meet = async (stream: Promise<Deno.Conn>, type: PeerOptions["type"]) => {
      const peer = await open(await stream, { type, identity: bytes("deno") });
      peers.push(peer);
      return peer;
    };
    try {
      const [routerPort, pubPort] = (await line()).split(" ").map(Number);
      await stdin.write(bytes(listeners.map(({ addr }) => (addr as Deno.NetAddr).port).join(" ") + "\n"));
      const [dealer, sub, router, pub] = await Promise.all([
        meet(Deno.connect({ hostname: "127.0.0.1", port: routerPort }), "DEALER"),
        meet(Deno.connect({ hostname: "127.0.0.1", port: pubPort }), "SUB"),
        meet(listeners[0].accept(), "ROUTER"),
        meet(listeners[1].accept(), "PUB"),
      ]);
      await dealer.send([bytes("question")]);
      const answer = (await dealer.messages().next()).value as Frames;
      assertEquals([texts(answer.slice(0, 1)), answer[1].length], [["question"], 3_000_000]);
      await sub.send([Uint8Array.of(1)]);
      assertEquals(texts((await sub.messages().next()).value as Frames), ["news", ""]);
      assertEquals(texts([router.introduction.identity]), ["python"]);
      const greeting = (await router.messages().next()).value as Frames;
      assertEquals([texts(greeting.slice(0, 1)), greeting[1].length], [["hello"], 3_000_000]);
      await router.send([bytes("back"), new Uint8Array()]);
      assertEquals(texts((await pub.messages().next()).value as Frames), ["\x01topic"]);
      await pub.send([bytes("topic"), bytes("1")]);
      assertEquals(await line(), "[b'topic', b'1']");
    } finally {
      for (const peer of peers) peer.close();
      for (const listener of listeners) listener.close();
      await stdin.close().catch(() => {});
      await said.return?.();
      try {
        child.kill();
      } catch {
        // It has ended.
      }
      await child.status;
    }
  },
});
