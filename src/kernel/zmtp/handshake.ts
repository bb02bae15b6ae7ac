/**
 * How two peers of ZMTP 3.0 greet each other, by the mechanism NULL: each sends a greeting of 64 bytes and a command READY
 * with the type of its socket, and goes on when those of the other fit.
 */

import { ProtocolError } from "../errors.ts";
import type { ByteReader } from "./byte_reader.ts";
import { encodeCommand, readFrame } from "./frames.ts";

/** The types of sockets that Jupyter uses. */
export type SocketType = "DEALER" | "ROUTER" | "SUB" | "PUB" | "XPUB" | "REQ" | "REP";

/** Which types may be at the other end. */
const PARTNERS: Readonly<Record<SocketType, readonly string[]>> = {
  DEALER: ["ROUTER", "DEALER", "REP"],
  ROUTER: ["DEALER", "ROUTER", "REQ"],
  SUB: ["PUB", "XPUB"],
  PUB: ["SUB", "XSUB"],
  XPUB: ["SUB", "XSUB"],
  REQ: ["REP", "ROUTER"],
  REP: ["REQ", "DEALER"],
};

const GREETING_BYTES = 64;
/** A READY is short; whoever sends more is somebody else. */
const READY_LIMIT = 4096;

/** The greeting of the other end. */
export interface Introduction {
  readonly type: string;
  /** The identity that a ROUTER knows it by; empty where it has none. */
  readonly identity: Uint8Array<ArrayBuffer>;
}

/** The bytes that are sent at once when a connection opens. */
export function encodeIntroduction(type: SocketType, identity: Uint8Array): Uint8Array<ArrayBuffer> {
  const greeting = new Uint8Array(GREETING_BYTES);
  greeting[0] = 0xff;
  greeting[9] = 0x7f;
  greeting[10] = 3;
  greeting.set(new TextEncoder().encode("NULL"), 12);
  const properties = [["Socket-Type", new TextEncoder().encode(type)], ["Identity", identity]] as const;
  const ready = encodeCommand(Uint8Array.from([
    ...shortText("READY"),
    ...properties.flatMap(([name, value]) => [...shortText(name), ...bigEndian(value.length), ...value]),
  ]));
  const bytes = new Uint8Array(greeting.length + ready.length);
  bytes.set(greeting);
  bytes.set(ready, greeting.length);
  return bytes;
}

/** Reads the greeting and the READY of the other end; refuses one that does not fit to `type`. */
export async function readIntroduction(reader: ByteReader, type: SocketType): Promise<Introduction> {
  const operation = "readIntroduction";
  // The signature is read first, so that a peer that speaks another protocol, and sends less, is found out.
  const signature = await reader.take(10);
  if (signature[0] !== 0xff || (signature[9] & 1) === 0) {
    throw new ProtocolError(operation, "the signature is another", "that of ZMTP");
  }
  const rest = await reader.take(GREETING_BYTES - 10);
  if (rest[0] < 3) throw new ProtocolError(operation, `the version is ${rest[0]}`, "3 or later");
  const mechanism = new TextDecoder().decode(rest.subarray(2, 22)).replaceAll("\0", "");
  if (mechanism !== "NULL") throw new ProtocolError(operation, `the mechanism is ${mechanism}`, "NULL");
  const { body, command } = await readFrame(reader, READY_LIMIT);
  const properties = command ? parseReady(body) : null;
  if (!properties) throw new ProtocolError(operation, "there is no READY", "one after the greeting");
  const theirs = new TextDecoder().decode(properties.get("socket-type") ?? new Uint8Array());
  if (!PARTNERS[type].includes(theirs)) {
    throw new ProtocolError(operation, `the socket is ${theirs}`, PARTNERS[type].join(" or "));
  }
  return { type: theirs, identity: properties.get("identity") ?? new Uint8Array() };
}

/** The properties by their names in lower case; null when it is not a READY. */
function parseReady(body: Uint8Array<ArrayBuffer>): Map<string, Uint8Array<ArrayBuffer>> | null {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const text = (from: number, to: number) => new TextDecoder().decode(body.subarray(from, to));
  if (text(1, 1 + body[0]) !== "READY") return null;
  const properties = new Map<string, Uint8Array<ArrayBuffer>>();
  let at = 1 + body[0];
  while (at < body.length) {
    const valueAt = at + 1 + body[at] + 4;
    if (valueAt > body.length) return null;
    const end = valueAt + view.getUint32(valueAt - 4);
    if (end > body.length) return null;
    properties.set(text(at + 1, valueAt - 4).toLowerCase(), body.slice(valueAt, end));
    at = end;
  }
  return properties;
}

function shortText(text: string): number[] {
  return [text.length, ...new TextEncoder().encode(text)];
}

function bigEndian(count: number): number[] {
  return [count >>> 24, (count >>> 16) & 255, (count >>> 8) & 255, count & 255];
}
