/**
 * Reads the tensor `beside` of a snapshot's file: what a folder keeps beside rows, and the calls of clients that have counted.
 */

import { Besides } from "./besides.ts";
import { ByteReader } from "./byte_buffer.ts";
import { Clients } from "./clients.ts";

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
