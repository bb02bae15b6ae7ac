/**
 * Which calls of which client have counted, so that a call that is made again counts once: for each client the largest number
 * so far, and what its last calls were answered.
 */

import type { RowId } from "../write/row_ids.ts";
import { ByteReader, ByteWriter } from "./byte_buffer.ts";
import type { ClientCall } from "./frames.ts";
import { decodeNames, encodeNames } from "./row_names.ts";

/** So many answers of a client are kept. */
export const ANSWERS_KEPT = 256;
/** Stands for the count of slots where what follows is a list of names; version 1 has slots only. */
const NAMED = 0xffffffff;

/** What a call was answered. */
export interface ClientAnswer {
  readonly sequence: number;
  /** What the rows of its edits are called. */
  readonly names: readonly RowId[];
}

/** The calls of all clients. */
export class Clients {
  readonly #clients = new Map<
    string,
    { last: number; forgotten: number; answers: Map<number, ClientAnswer> }
  >();

  get count(): number {
    return this.#clients.size;
  }

  /** The largest number of a client's calls; 0 where it made none. */
  lastOf(client: string): number {
    return this.#clients.get(client)?.last ?? 0;
  }

  /** What a call was answered that counted; "new" where it may be made, else why it may not. */
  answerTo({ client, number }: ClientCall): ClientAnswer | "new" | "forgotten" | "late" {
    const held = this.#clients.get(client);
    if (!held || number > held.last) return "new";
    return held.answers.get(number) ?? (number <= held.forgotten ? "forgotten" : "late");
  }

  note({ client, number }: ClientCall, answer: ClientAnswer): void {
    let held = this.#clients.get(client);
    if (!held) this.#clients.set(client, held = { last: 0, forgotten: 0, answers: new Map() });
    held.last = number;
    held.answers.set(number, answer);
    if (held.answers.size <= ANSWERS_KEPT) return;
    const [oldest] = held.answers.keys();
    held.forgotten = oldest;
    held.answers.delete(oldest);
  }

  save(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    out.u32(this.#clients.size);
    for (const [client, { last, forgotten, answers }] of this.#clients) {
      out.text(client);
      out.f64(last);
      out.f64(forgotten);
      out.u32(answers.size);
      for (const [number, { sequence, names }] of answers) {
        out.f64(number);
        out.f64(sequence);
        if (names.every(isSlot)) out.words(names);
        else {
          out.u32(NAMED);
          out.bytes(encodeNames(names));
        }
      }
    }
    return out.view().slice();
  }

  static restore(bytes: Uint8Array<ArrayBuffer>): Clients {
    const clients = new Clients(), reader = new ByteReader(bytes);
    for (let left = reader.u32(); left > 0; left--) {
      const client = reader.text();
      const held = { last: reader.f64(), forgotten: reader.f64(), answers: new Map<number, ClientAnswer>() };
      for (let answers = reader.u32(); answers > 0; answers--) {
        const number = reader.f64(), sequence = reader.f64();
        held.answers.set(number, { sequence, names: readNames(reader) });
      }
      clients.#clients.set(client, held);
    }
    return clients;
  }
}

function isSlot(name: RowId): name is number {
  return typeof name === "number" && name === name >>> 0 && name !== NAMED;
}

function readNames(reader: ByteReader): RowId[] {
  const count = reader.u32();
  return count === NAMED ? decodeNames(reader.bytes()) : Array.from({ length: count }, () => reader.u32());
}
