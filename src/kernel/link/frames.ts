/**
 * The frames between the proxy and the code inside of the kernel: an object of JSON and bytes that come along. On the
 * wire: the length of the JSON and the number of buffers, the length of each buffer, the JSON, the buffers; lengths are
 * 32 bits, little-endian.
 */

import { ProtocolError } from "../errors.ts";
import type { JsonObject } from "../protocol/message.ts";
import type { ByteReader } from "../zmtp/byte_reader.ts";
import { Array, DataView, JSON, TextDecoder, TextEncoder, Uint8Array } from "../natives.ts";

/** One piece of the talk. */
export interface LinkFrame {
  readonly head: JsonObject;
  readonly buffers: readonly Uint8Array<ArrayBuffer>[];
}

const BUFFERS_LIMIT = 1 << 20;

/** The bytes of a frame. */
export function encodeLinkFrame(
  head: JsonObject,
  buffers: readonly Uint8Array[] = [],
): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(head));
  const bodyAt = 8 + 4 * buffers.length;
  const bytes = new Uint8Array(
    buffers.reduce((sum, buffer) => sum + buffer.byteLength, bodyAt + json.length),
  );
  const view = new DataView(bytes.buffer);
  view.setUint32(0, json.length, true);
  view.setUint32(4, buffers.length, true);
  buffers.forEach((buffer, at) => view.setUint32(8 + 4 * at, buffer.byteLength, true));
  bytes.set(json, bodyAt);
  let at = bodyAt + json.length;
  for (const buffer of buffers) {
    bytes.set(buffer, at);
    at += buffer.byteLength;
  }
  return bytes;
}

/**
 * Reads a frame whose JSON has at most `limit` bytes, with at most `buffersLimit` buffers. Throws an `EndOfStream` where the
 * stream ends.
 */
export async function readLinkFrame(
  reader: ByteReader,
  limit = 2 ** 30,
  buffersLimit = BUFFERS_LIMIT,
): Promise<LinkFrame> {
  const sizes = new DataView((await reader.take(8)).buffer);
  const jsonLength = sizes.getUint32(0, true), count = sizes.getUint32(4, true);
  if (jsonLength > limit || count > buffersLimit) {
    throw new ProtocolError("readLinkFrame", `a frame has ${jsonLength} bytes and ${count} buffers`, "less");
  }
  const lengths = new DataView((await reader.take(4 * count)).buffer);
  const head: unknown = JSON.parse(new TextDecoder().decode(await reader.take(jsonLength)));
  if (typeof head !== "object" || head === null || Array.isArray(head)) {
    throw new ProtocolError("readLinkFrame", `the head is ${JSON.stringify(head)}`, "an object");
  }
  const buffers: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < count; at++) buffers.push(await reader.take(lengths.getUint32(4 * at, true)));
  return { head: head as JsonObject, buffers };
}
