/**
 * Small values of the log as JSON.
 */

import { ClusterError } from "./cluster_error.ts";

/** An object that was read; its fields may be anything. */
export type Json = Readonly<Record<string, unknown>>;

/** Writes an object. */
export function writeJson(value: object): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Reads an object; "damaged" if it is none. */
export function readJson(operation: string, key: string, bytes: Uint8Array): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // Bytes that are no JSON are no object either.
  }
  if (typeof value === "object" && value !== null) return value as Json;
  throw new ClusterError(operation, "damaged", `value ${key} is no JSON object`);
}

/** A whole number ≥ 0 in a field. */
export function countIn(json: Json, field: string): number | null {
  const value = json[field];
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** A text in a field. */
export function textIn(json: Json, field: string): string | null {
  const value = json[field];
  return typeof value === "string" ? value : null;
}

/** Bytes as hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Bytes of hexadecimal digits; null if they are none. */
export function fromHex(text: string | null, length: number): Uint8Array<ArrayBuffer> | null {
  if (text === null || text.length !== 2 * length || !/^[0-9a-f]*$/.test(text)) return null;
  return Uint8Array.from({ length }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}
