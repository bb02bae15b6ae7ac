/**
 * A checksum inside a safetensors file, as the metadata `sha256`: SHA-256 of the header, in which 64 zeros
 * stand for the checksum, followed by the SHA-256 of the data. It detects a flipped bit anywhere, even in a
 * state, which would otherwise give wrong answers without any error.
 */

import { describe, FormatError } from "../base/errors.ts";
import { checkHeader, dataStartOf } from "./safetensors.ts";

/** The placeholder for the checksum in a file that is not sealed yet. */
export const UNSEALED = "0".repeat(64);

/** Writes the checksum over its placeholder. */
export async function seal(operation: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const at = placeOf(operation, bytes);
  bytes.set(new TextEncoder().encode(await checksumOf(operation, bytes, at)), at);
}

/**
 * Checks the checksum of a file. Sealed files are written by the library, so their headers must also be
 * exactly as the library writes them.
 *
 * @throws {FormatError} When a file has no checksum, has changed since it was sealed, or was sealed by
 * another program.
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

/** The index of the checksum in the file. */
function placeOf(operation: string, bytes: Uint8Array<ArrayBuffer>): number {
  const key = '"sha256":"';
  // In latin1 each byte is one character, so indices of characters are those of bytes.
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
