/**
 * Messages to frames and back: identities, the delimiter, the signature, four parts of JSON, buffers.
 *
 * Invariant: nothing of a message is looked at before its signature has been checked.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { ProtocolError } from "../errors.ts";
import type { JsonObject, Message, MessageHeader } from "./message.ts";

const DELIMITER = new TextEncoder().encode("<IDS|MSG>");
const HEADER_TEXTS = ["msg_id", "session", "username", "msg_type"] as const;

/** The signatures of this many messages are remembered. */
const REMEMBERED = 2 ** 16;

/** Signs and checks with one key. */
export class MessageCodec {
  readonly #key: string;
  /** The first letters of the signatures of what came and went lately, the oldest first. */
  readonly #seen = new Set<string>();
  readonly #remembers: boolean;

  /** `remembers` is for who refuses what came before, see `decodeOnce`. */
  constructor(key: string, remembers = false) {
    this.#remembers = remembers;
    if (key === "") throw new ProtocolError("MessageCodec", "the key is empty", "a secret");
    this.#key = key;
  }

  /** The frames of a message, signed. */
  encode(message: Message): Uint8Array<ArrayBuffer>[] {
    const { identities, header, parentHeader, metadata, content, buffers } = message;
    const encoder = new TextEncoder();
    const parts = [header, parentHeader ?? {}, metadata, content].map((part) =>
      encoder.encode(JSON.stringify(part))
    );
    const signature = this.#sign(parts);
    if (this.#remembers) this.#isNew(signature);
    return [...identities, DELIMITER, encoder.encode(signature), ...parts, ...buffers];
  }

  /**
   * As `decode`, of messages that must not come twice: what was decoded or encoded before is refused. Buffers are not signed,
   * so that a message of the kernel's own could come back with others.
   */
  decodeOnce(frames: readonly Uint8Array<ArrayBuffer>[]): Message {
    const message = this.decode(frames);
    if (!this.#remembers) return message;
    const at = message.identities.length + 1;
    if (!this.#isNew(new TextDecoder().decode(frames[at]))) {
      throw new ProtocolError("MessageCodec.decodeOnce", "the signature has been seen", "a new one");
    }
    return message;
  }

  /** The message in frames. Throws a `ProtocolError` when they are no message or the signature is not of this key. */
  decode(frames: readonly Uint8Array<ArrayBuffer>[]): Message {
    const operation = "MessageCodec.decode";
    const at = frames.findIndex(isDelimiter);
    if (at === -1) throw new ProtocolError(operation, "there is no delimiter", "<IDS|MSG>");
    const [signature, ...rest] = frames.slice(at + 1);
    if (rest.length < 4) {
      throw new ProtocolError(operation, `${rest.length} parts are signed`, "4 and buffers");
    }
    const parts = rest.slice(0, 4);
    if (!this.#isSignature(signature, parts)) {
      throw new ProtocolError(operation, "the signature is not of this key", "one that is");
    }
    const [header, parentHeader, metadata, content] = parts.map(parseObject);
    return {
      identities: frames.slice(0, at),
      header: toHeader(header),
      // A kernel may send an empty header, or null where there is no parent.
      parentHeader: "msg_id" in parentHeader ? toHeader(parentHeader) : null,
      metadata,
      content,
      buffers: rest.slice(4),
    };
  }

  #isNew(signature: string): boolean {
    const short = signature.slice(0, 24);
    if (this.#seen.has(short)) return false;
    this.#seen.add(short);
    if (this.#seen.size > REMEMBERED) {
      const [oldest] = this.#seen;
      this.#seen.delete(oldest);
    }
    return true;
  }

  #sign(parts: readonly Uint8Array[]): string {
    const hmac = createHmac("sha256", this.#key);
    for (const part of parts) hmac.update(part);
    return hmac.digest("hex");
  }

  #isSignature(signature: Uint8Array, parts: readonly Uint8Array[]): boolean {
    const expected = new TextEncoder().encode(this.#sign(parts));
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  }
}

function isDelimiter(frame: Uint8Array): boolean {
  return frame.length === DELIMITER.length && DELIMITER.every((byte, at) => frame[at] === byte);
}

function parseObject(part: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(part)) ?? {};
  } catch (cause) {
    throw new ProtocolError("MessageCodec.decode", "a part is no JSON", "an object", { cause });
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new ProtocolError("MessageCodec.decode", `a part is ${JSON.stringify(value)}`, "an object");
  }
  return value as JsonObject;
}

function toHeader(header: JsonObject): MessageHeader {
  for (const name of HEADER_TEXTS) {
    if (typeof header[name] !== "string") {
      throw new ProtocolError("MessageCodec.decode", `${name} is ${JSON.stringify(header[name])}`, "a text");
    }
  }
  return header as unknown as MessageHeader;
}
