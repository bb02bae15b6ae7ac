// Messages and connection files: what was written is read again, and what was not written by who knows the key is refused
// before anything of it is looked at.

import { ProtocolError } from "../../src/kernel/errors.ts";
import { MessageCodec } from "../../src/kernel/protocol/codec.ts";
import { formatConnection, newConnection, parseConnection } from "../../src/kernel/protocol/connection.ts";
import { createMessage } from "../../src/kernel/protocol/message.ts";
import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";

const codec = new MessageCodec("secret");
const text = (frame: Uint8Array) => new TextDecoder().decode(frame);
const bytes = (words: string) => new TextEncoder().encode(words);

Deno.test("codec: a message with all it can have comes back as it was", () => {
  const parent = createMessage("a", "execute_request", { code: "1" });
  const message = createMessage("b", "comm_msg", { data: { "ключ": [1, null, "\u2028"] } }, {
    parent,
    identities: [bytes("who")],
    metadata: { version: "2" },
    buffers: [Uint8Array.of(0, 255), new Uint8Array()],
  });
  assertEquals(codec.decode(codec.encode(message)), message);
  assertEquals(codec.decode(codec.encode(parent)).parentHeader, null);
});

Deno.test("codec: the signature is that of the protocol", () => {
  // HMAC-SHA256 of "{}" four times, computed by Python's hmac.
  const frames = [bytes("<IDS|MSG>"), bytes(""), ...Array.from({ length: 4 }, () => bytes("{}"))];
  frames[1] = bytes("34982f0bfec60e7b933ffde06c1ecab0fba073717a95ab943d1dd06f82c2d5e4");
  const error = assertThrows(() => codec.decode(frames), ProtocolError);
  assertEquals(error.message, "MessageCodec.decode: msg_id is undefined, expected a text");
});

Deno.test("codec: whatever byte of it is changed, or with another key, it is refused for its signature", () => {
  const frames = codec.encode(createMessage("a", "status", { execution_state: "idle" }));
  const isRefused = (changed: Uint8Array<ArrayBuffer>[]) => {
    const error = assertThrows(() => codec.decode(changed), ProtocolError);
    assert(error.message.includes("signature is not of this key"), error.message);
  };
  for (const part of [1, 2, 3, 4, 5]) {
    for (const at of [0, frames[part].length - 1]) {
      isRefused(frames.map((frame, index) => {
        const copy = frame.slice();
        if (index === part) copy[at] ^= 1;
        return copy;
      }));
    }
  }
  isRefused(new MessageCodec("another").encode(createMessage("a", "status", {})));
  isRefused([frames[0], new Uint8Array(), ...frames.slice(2)]);
  isRefused([frames[0], frames[1].subarray(1), ...frames.slice(2)]);
});

Deno.test("codec: what is no message is refused with what is missing", () => {
  const frames = codec.encode(createMessage("a", "status", {}));
  const refusals: readonly (readonly [Uint8Array<ArrayBuffer>[], string])[] = [
    [[], "there is no delimiter"],
    [frames.slice(1), "there is no delimiter"],
    [[frames[0]], "0 parts are signed"],
    [frames.slice(0, 5), "3 parts are signed"],
  ];
  for (const [bad, sentence] of refusals) {
    const error = assertThrows(() => codec.decode(bad), ProtocolError);
    assert(error.message.includes(sentence), error.message);
  }
  assertThrows(() => new MessageCodec(""), ProtocolError);
});

Deno.test("codec: JSON that is signed but is no header or no object is refused", () => {
  const good = createMessage("a", "status", {});
  for (
    const bad of [
      { ...good, content: [] },
      { ...good, content: 3 },
      { ...good, header: { ...good.header, msg_id: 7 } },
      { ...good, header: {} },
    ]
  ) {
    // Signed by who knows the key, and wrong nevertheless.
    const frames = codec.encode(bad as unknown as typeof good);
    assertThrows(() => codec.decode(frames), ProtocolError);
  }
});

Deno.test("codec: buffers are not signed and not looked at", () => {
  const frames = codec.encode(createMessage("a", "comm_msg", {}, { buffers: [bytes("one")] }));
  assertEquals(text(codec.decode([...frames.slice(0, -1), bytes("two")]).buffers[0]), "two");
});

Deno.test("connection: a file is read as it was written, and a new one has five ports and a long key", () => {
  const connection = newConnection("deno");
  assertEquals(parseConnection(formatConnection(connection)), connection);
  assertEquals(new Set(Object.values(connection.ports)).size, 5);
  assertEquals(connection.key.length, 64);
  assert(connection.key !== newConnection().key);
});

for (
  const [change, sentence] of [
    [{ transport: "ipc" }, 'transport is "ipc", expected "tcp"'],
    [{ signature_scheme: "hmac-md5" }, 'signature_scheme is "hmac-md5", expected "hmac-sha256"'],
    [{ key: "" }, "there is no key, expected one"],
    [{ ip: 7 }, "ip is 7, expected an address"],
    [{ shell_port: 0 }, "shell_port is 0, expected a port"],
    [{ hb_port: "80" }, 'hb_port is "80", expected a port'],
    [{ iopub_port: 65536 }, "iopub_port is 65536, expected a port"],
  ] as const
) {
  Deno.test(`connection: refused, ${sentence}`, () => {
    const file = { ...JSON.parse(formatConnection(newConnection())), ...change };
    const error = assertThrows(() => parseConnection(JSON.stringify(file)), ProtocolError);
    assertEquals(error.message, `parseConnection: ${sentence}`);
  });
}

Deno.test("connection: what is no JSON, or no object, is refused", () => {
  for (const bad of ["", "{", "null", "3"]) assertThrows(() => parseConnection(bad), ProtocolError);
});
