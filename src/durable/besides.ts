/**
 * What is kept beside rows, by name: the states of a learner for example (see `kept_states.ts`).
 *
 * Invariant: a content never changes, it is replaced. So a snapshot holds the contents of its moment by references.
 *
 * In the file of a snapshot they are the tensor `beside`: u32 count, and for each bytes name and bytes content.
 */

import { ByteReader, ByteWriter } from "./byte_buffer.ts";

/** What is kept at one moment. */
export interface FrozenBesides {
  readonly names: readonly string[];
  readonly contents: readonly Uint8Array<ArrayBuffer>[];
  /** Bytes of the tensor; 0 where nothing is kept, and there is none. */
  readonly bytes: number;
}

export const NOTHING_BESIDE: FrozenBesides = { names: [], contents: [], bytes: 0 };

/** Contents by name. */
export class Besides implements Iterable<readonly [name: string, content: Uint8Array<ArrayBuffer>]> {
  readonly #contents = new Map<string, Uint8Array<ArrayBuffer>>();
  #bytes = 0;
  /** Bytes of the names as they are written. */
  #nameBytes = 0;
  /** Bytes of the contents as they are written. */
  #paddedBytes = 0;

  constructor(contents: Iterable<readonly [string, Uint8Array<ArrayBuffer>]> = []) {
    for (const [name, content] of contents) this.set(name, content);
  }

  get size(): number {
    return this.#contents.size;
  }

  /** Bytes of all contents. */
  get bytes(): number {
    return this.#bytes;
  }

  get(name: string): Uint8Array<ArrayBuffer> | undefined {
    return this.#contents.get(name);
  }

  set(name: string, content: Uint8Array<ArrayBuffer>): void {
    this.delete(name);
    this.#contents.set(name, content);
    this.#count(name, content, 1);
  }

  delete(name: string): void {
    const content = this.#contents.get(name);
    if (!content) return;
    this.#contents.delete(name);
    this.#count(name, content, -1);
  }

  #count(name: string, { length }: Uint8Array, sign: number): void {
    this.#bytes += sign * length;
    this.#nameBytes += sign * padded(ENCODER.encode(name).length);
    this.#paddedBytes += sign * padded(length);
  }

  [Symbol.iterator](): IterableIterator<[string, Uint8Array<ArrayBuffer>]> {
    return this.#contents[Symbol.iterator]();
  }

  /** What is kept now. */
  freeze(): FrozenBesides {
    const { size } = this, bytes = size === 0 ? 0 : 4 + 8 * size + this.#nameBytes + this.#paddedBytes;
    return { names: [...this.#contents.keys()], contents: [...this.#contents.values()], bytes };
  }
}

/** The tensor in slices of about `sliceBytes`. */
export function* besideSlices(
  { names, contents }: FrozenBesides,
  sliceBytes: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const out = new ByteWriter();
  out.u32(names.length);
  for (let at = 0; at < names.length; at++) {
    out.text(names[at]);
    out.bytes(contents[at]);
    if (out.length < sliceBytes) continue;
    yield out.view().slice();
    out.clear();
  }
  yield out.view().slice();
}

/** @throws {Error} When it is not such a tensor. */
export function decodeBesides(bytes: Uint8Array<ArrayBuffer>): Besides {
  const besides = new Besides(), reader = new ByteReader(bytes);
  for (let left = reader.u32(); left > 0; left--) besides.set(reader.text(), reader.bytes());
  return besides;
}

const ENCODER = new TextEncoder();

function padded(length: number): number {
  return length + (-length & 3);
}
