/**
 * A checksum inside a safetensors file, as the metadata `sha256`: SHA-256 of the header, in which 64 zeros
 * stand for the checksum, followed by the SHA-256 of the data. It detects a flipped bit anywhere, even in a
 * state, which would otherwise give wrong answers without any error.
 */

import { describe, FormatError } from "../base/errors.ts";
import { checkHeader, dataStartOf } from "./safetensors.ts";

/** The placeholder for the checksum in a file that is not sealed yet. */
export const UNSEALED = "0".repeat(64);

/** SHA-256 of bytes as they come. */
export interface Hash {
  readonly update: (bytes: Uint8Array) => void;
  readonly digest: () => Uint8Array<ArrayBuffer>;
}

/** What `node:crypto` has of it. */
interface NodeHash {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
}

interface NodeCrypto {
  createHash(algorithm: "sha256"): NodeHash;
}

interface WithModules {
  readonly process?: { readonly getBuiltinModule?: (name: string) => unknown };
}

/** A new hash in Deno and Node; null in a browser, which only hashes all bytes at once. */
export function newHash(): Hash | null {
  const found = (globalThis as WithModules).process?.getBuiltinModule?.("node:crypto");
  if (!found) return null;
  const hash = (found as NodeCrypto).createHash("sha256");
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => new Uint8Array(hash.digest()),
  };
}

/** Writes the checksum over its placeholder. */
export async function seal(operation: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const dataStart = dataStartOf(operation, bytes);
  const digest = await crypto.subtle.digest("SHA-256", bytes.subarray(dataStart));
  await sealWith(operation, bytes, new Uint8Array(digest));
}

/** As `seal`, of a file whose data have this SHA-256. */
export async function sealWith(
  operation: string,
  bytes: Uint8Array<ArrayBuffer>,
  data: Uint8Array,
): Promise<void> {
  const at = sealPlace(operation, bytes);
  bytes.set(new TextEncoder().encode(await checksumOf(operation, bytes, at, data)), at);
}

/**
 * Checks the checksum of a file. Sealed files are written by the library, so their headers must also be
 * exactly as the library writes them.
 *
 * @throws {FormatError} When a file has no checksum, has changed since it was sealed, or was sealed by
 * another program.
 */
export async function checkSeal(operation: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const at = sealPlace(operation, bytes);
  const found = new TextDecoder("latin1").decode(bytes.subarray(at, at + UNSEALED.length));
  const digest = await crypto.subtle.digest("SHA-256", bytes.subarray(dataStartOf(operation, bytes)));
  const expected = await checksumOf(operation, bytes, at, new Uint8Array(digest));
  if (found !== expected) {
    throw new FormatError(
      operation,
      `file is damaged: its bytes have the sha256 ${expected}`,
      describe(found),
    );
  }
  checkHeader(operation, bytes);
}

/**
 * The index of the checksum in a file, or in the prefix and the header of one. No text of a caller is taken for it, since each
 * of its quotation marks is escaped.
 *
 * @throws {FormatError} When there is none.
 */
export function sealPlace(operation: string, bytes: Uint8Array<ArrayBuffer>): number {
  const key = '"sha256":"';
  // In latin1 each byte is one character, so indices of characters are those of bytes.
  const header = new TextDecoder("latin1").decode(bytes.subarray(0, dataStartOf(operation, bytes)));
  const at = header.indexOf(key) + key.length;
  if (at >= key.length && header.indexOf('"', at) === at + UNSEALED.length) return at;
  throw new FormatError(operation, "file has no checksum", "metadata sha256 with 64 digits");
}

/** The checksum of a file with its place at `at`, whose data have the SHA-256 `data`. */
async function checksumOf(
  operation: string,
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  data: Uint8Array,
): Promise<string> {
  const dataStart = dataStartOf(operation, bytes);
  const sealed = new Uint8Array(dataStart + data.length);
  sealed.set(bytes.subarray(0, dataStart));
  sealed.set(new TextEncoder().encode(UNSEALED), at);
  sealed.set(data, dataStart);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", sealed));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
