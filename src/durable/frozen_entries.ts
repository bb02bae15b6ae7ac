/**
 * Writes the tensor `beside` of a snapshot's file, which an engine passes over: entries of one moment, while new ones come. It is
 * u32 count, and for each entry text name, bytes content.
 */

import { ByteWriter } from "./byte_buffer.ts";

/** Entries of one moment. */
export interface FrozenEntries {
  readonly names: readonly string[];
  /** Bytes that they take. */
  readonly bytes: number;
  contentOf(at: number): Uint8Array<ArrayBuffer>;
}

/** Bytes of the tensor; 0 where there are no entries, and no tensor. */
export function besideBytes(parts: readonly FrozenEntries[]): number {
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  return bytes === 0 ? 0 : 4 + bytes;
}

/** The tensor in slices of about `sliceBytes`; an entry is made when it is asked for. */
export function* besideSlices(
  parts: readonly FrozenEntries[],
  sliceBytes: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const out = new ByteWriter();
  out.u32(parts.reduce((count, { names }) => count + names.length, 0));
  for (const part of parts) {
    for (let at = 0; at < part.names.length; at++) {
      out.text(part.names[at]);
      out.bytes(part.contentOf(at));
      if (out.length < sliceBytes) continue;
      yield out.view().slice();
      out.clear();
    }
  }
  yield out.view().slice();
}
