/**
 * A checksum inside a safetensors file, as the metadata `sha256`: SHA-256 of the header, in which 64 zeros stand for
 * the checksum, followed by the SHA-256 of the data. A flipped bit anywhere shows, also one that would only have made
 * another number of a value or, worse, of a state that nothing computes again.
 */

import { describe, FormatError } from "../base/errors.ts";
import { checkHeader, dataStartOf } from "./safetensors.ts";

/** What a file says of its checksum before it is sealed. */
export const UNSEALED = "0".repeat(64);

/** Writes the checksum over the zeros that stand for it. */
export async function seal(operation: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const at = placeOf(operation, bytes);
  bytes.set(new TextEncoder().encode(await checksumOf(operation, bytes, at)), at);
}

/**
 * What is sealed is the library's own, so its header must be as the library writes one.
 *
 * @throws {FormatError} When a file has no checksum, is not what it was when it was sealed, or was sealed by another hand.
 */
export async function checkSeal(operation: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const at = placeOf(operation, bytes);
  const found = new TextDecoder("latin1").decode(bytes.subarray(at, at + UNSEALED.length));
  const expected = await checksumOf(operation, bytes, at);
  if (found !== expected) {
    throw new FormatError(
      operation,
      `file is damaged: its bytes have the sha256 ${expected}`,
      describe(found),
    );
  }
  checkHeader(operation, bytes);
}

/** Where the header has its checksum. */
function placeOf(operation: string, bytes: Uint8Array<ArrayBuffer>): number {
  const key = '"sha256":"';
  // A byte becomes a character, so that indices are the same.
  const header = new TextDecoder("latin1").decode(bytes.subarray(0, dataStartOf(operation, bytes)));
  const at = header.indexOf(key) + key.length;
  if (at >= key.length && header.indexOf('"', at) === at + UNSEALED.length) return at;
  throw new FormatError(operation, "file has no checksum", "metadata sha256 with 64 digits");
}

async function checksumOf(operation: string, bytes: Uint8Array<ArrayBuffer>, at: number): Promise<string> {
  const dataStart = dataStartOf(operation, bytes);
  const data = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.subarray(dataStart)));
  const sealed = new Uint8Array(dataStart + data.length);
  sealed.set(bytes.subarray(0, dataStart));
  sealed.set(new TextEncoder().encode(UNSEALED), at);
  sealed.set(data, dataStart);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", sealed));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
