/**
 * The tensor `beside` of a snapshot's file, which an engine passes over: what a folder keeps beside rows, and the calls of
 * clients that have counted. It is u32 count, and for each entry text name, bytes content.
 */

import { Besides } from "./besides.ts";
import { ByteReader, ByteWriter } from "./byte_buffer.ts";
import { Clients } from "./clients.ts";

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

/** What a snapshot holds beside rows. */
export interface Beside {
  readonly besides: Besides;
  readonly clients: Clients;
}

/** @throws {Error} When it is not such a tensor. */
export function decodeBeside(bytes: Uint8Array<ArrayBuffer>): Beside {
  const besides = new Besides(), clients = new Clients(), reader = new ByteReader(bytes);
  for (let left = reader.u32(); left > 0; left--) {
    const name = reader.text(), content = reader.bytes();
    if (!clients.restoreEntry(name, content)) besides.set(name, content);
  }
  return { besides, clients };
}
