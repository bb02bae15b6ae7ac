// Snapshots that somebody changed: with a checksum that fits the change, so that what else is checked is
// reached.

import type { SavedNumbers } from "../src/base/saved_array.ts";
import { seal, UNSEALED } from "../src/store/checksum.ts";
import { decodeTensors, encodeTensors, type TensorFile } from "../src/store/safetensors.ts";

/** A forger's change of the content of a file. */
export interface Forgery {
  readonly metadata: Record<string, string>;
  readonly tensors: Record<
    string,
    { shape: number[]; data: SavedNumbers }
  >;
}

/** A copy of a snapshot with other content and a fitting checksum. */
export async function forge(
  bytes: Uint8Array<ArrayBuffer>,
  change: (content: Forgery) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const { metadata, tensors }: TensorFile = decodeTensors("forge", bytes.slice());
  const content: Forgery = {
    metadata: { ...metadata, sha256: UNSEALED },
    tensors: Object.fromEntries(
      Object.entries(tensors).map((
        [name, { shape, data }],
      ) => [name, { shape: [...shape], data: data.slice() }]),
    ),
  };
  change(content);
  const forged = encodeTensors(content);
  if (content.metadata.sha256 === UNSEALED) await seal("forge", forged);
  return forged;
}

/** A safetensors file of a header as text, and data. */
export function rawFile(header: string, data = new Uint8Array(0), length?: bigint): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

/** The header of a safetensors file as text. */
export function headerOf(bytes: Uint8Array<ArrayBuffer>): string {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  return new TextDecoder().decode(bytes.subarray(8, 8 + length));
}
