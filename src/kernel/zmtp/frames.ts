/**
 * The frames of ZMTP 3.0, the wire protocol of ZeroMQ (https://rfc.zeromq.org/spec/23/): a byte of flags, a size of one
 * byte or eight, a body. A message is a row of frames of which all but the last say that more follow.
 */

import { ProtocolError } from "../errors.ts";
import type { ByteReader } from "./byte_reader.ts";

const MORE = 1, LONG = 2, COMMAND = 4;

/** One frame as it came. */
export interface Frame {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly more: boolean;
  readonly command: boolean;
}

/** The bytes of a message. */
export function encodeMessage(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return join(frames.map((body, at) => [at < frames.length - 1 ? MORE : 0, body]));
}

/** The bytes of a command. */
export function encodeCommand(body: Uint8Array): Uint8Array<ArrayBuffer> {
  return join([[COMMAND, body]]);
}

/** Reads a frame whose body has `limit` bytes at most; a longer one is refused before room is made for it. */
export async function readFrame(reader: ByteReader, limit: number): Promise<Frame> {
  const [flags] = await reader.take(1);
  if (flags & ~(MORE | LONG | COMMAND)) {
    throw new ProtocolError("readFrame", `flags are 0b${flags.toString(2)}`, "those of ZMTP 3.0");
  }
  const size = flags & LONG
    ? Number(new DataView((await reader.take(8)).buffer).getBigUint64(0))
    : (await reader.take(1))[0];
  if (!(size <= limit)) throw new ProtocolError("readFrame", `a frame has ${size} bytes`, `at most ${limit}`);
  return { body: await reader.take(size), more: (flags & MORE) !== 0, command: (flags & COMMAND) !== 0 };
}

function join(parts: readonly (readonly [flags: number, body: Uint8Array])[]): Uint8Array<ArrayBuffer> {
  const headSize = (body: Uint8Array) => body.length > 255 ? 9 : 2;
  const bytes = new Uint8Array(parts.reduce((sum, [, body]) => sum + headSize(body) + body.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [flags, body] of parts) {
    if (body.length > 255) {
      view.setUint8(at, flags | LONG);
      view.setBigUint64(at + 1, BigInt(body.length));
    } else {
      view.setUint8(at, flags);
      view.setUint8(at + 1, body.length);
    }
    at += headSize(body);
    bytes.set(body, at);
    at += body.length;
  }
  return bytes;
}
