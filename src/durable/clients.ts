/**
 * Which calls of which client have counted, so that a call that is made again counts once: for each client the largest number
 * so far, and what its last calls were answered.
 *
 * Invariant: what was frozen is not written any more; a client that calls again is copied first. So a snapshot holds the
 * clients of its moment by references.
 *
 * In the file of a snapshot each client is an entry of the tensor `beside` (see `frozen_entries.ts`): f64 largest number, f64
 * largest number whose answer is not kept any more, u32 count of answers, and for each f64 number, f64 sequence, and its names:
 * u32 count and so many u32 slots, or u32 0xffffffff and bytes (see `row_names.ts`).
 */

import type { RowId } from "../write/row_ids.ts";
import type { FrozenEntries } from "./frozen_entries.ts";
import { ByteReader, ByteWriter, paddedLength, textLength } from "./byte_buffer.ts";
import type { ClientCall } from "./frames.ts";
import { decodeNames, encodeNames } from "./row_names.ts";

/** This many answers of a client are kept. */
export const ANSWERS_KEPT = 256;
/** Stands for the count of slots where what follows is a list of names; version 1 has slots only. */
const NAMED = 0xffffffff;
/** Begins the names of entries. */
const ENTRY = "client ";
/** Bytes of an entry without its name and answers, of an answer without its names, and of the lengths of an entry. */
const CLIENT_BYTES = 20, ANSWER_BYTES = 16, ENTRY_BYTES = 8;

/** What a call was answered. */
export interface ClientAnswer {
  readonly sequence: number;
  /** What the rows of its edits are called. */
  readonly names: readonly RowId[];
}

/** What is known of one client. */
interface Held {
  last: number;
  forgotten: number;
  /** By the numbers of calls, in their order. */
  readonly answers: Map<number, ClientAnswer>;
  /** Bytes of its content in a snapshot. */
  bytes: number;
  /** How often clients had been frozen when it was last written. */
  readonly moment: number;
}

/** The calls of all clients. */
export class Clients {
  readonly #clients = new Map<string, Held>();
  /** How often they were frozen. */
  #moment = 0;

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
    const held = this.#toWrite(client);
    held.last = number;
    held.answers.set(number, answer);
    held.bytes += bytesOf(answer);
    if (held.answers.size <= ANSWERS_KEPT) return;
    const [[oldest, forgotten]] = held.answers;
    held.forgotten = oldest;
    held.answers.delete(oldest);
    held.bytes -= bytesOf(forgotten);
  }

  /** The clients of this moment, while more calls are made. O(clients). */
  freeze(): FrozenEntries {
    this.#moment++;
    const names: string[] = [], clients: Held[] = [];
    let bytes = 0;
    for (const [client, held] of this.#clients) {
      names.push(ENTRY + client);
      clients.push(held);
      bytes += ENTRY_BYTES + paddedLength(textLength(ENTRY + client)) + held.bytes;
    }
    return { names, bytes, contentOf: (at) => encode(clients[at]) };
  }

  /** Takes an entry of a snapshot back; false where it is that of no client. */
  restoreEntry(name: string, content: Uint8Array<ArrayBuffer>): boolean {
    if (!name.startsWith(ENTRY)) return false;
    this.#clients.set(name.slice(ENTRY.length), this.#decode(new ByteReader(content)));
    return true;
  }

  /** Clients as pointers of the versions 1 and 2 hold them: u32 count, and for each its text and what an entry has. */
  static restore(bytes: Uint8Array<ArrayBuffer>): Clients {
    const clients = new Clients(), reader = new ByteReader(bytes);
    for (let left = reader.u32(); left > 0; left--) {
      clients.#clients.set(reader.text(), clients.#decode(reader));
    }
    return clients;
  }

  /** A client that may be written. */
  #toWrite(client: string): Held {
    const held = this.#clients.get(client), moment = this.#moment;
    if (held?.moment === moment) return held;
    const own: Held = held
      ? { ...held, answers: new Map(held.answers), moment }
      : { last: 0, forgotten: 0, answers: new Map(), bytes: CLIENT_BYTES, moment };
    this.#clients.set(client, own);
    return own;
  }

  #decode(reader: ByteReader): Held {
    const last = reader.f64(), forgotten = reader.f64();
    const answers = new Map<number, ClientAnswer>();
    let bytes = CLIENT_BYTES;
    for (let left = reader.u32(); left > 0; left--) {
      const number = reader.f64(), answer = { sequence: reader.f64(), names: readNames(reader) };
      answers.set(number, answer);
      bytes += bytesOf(answer);
    }
    return { last, forgotten, answers, bytes, moment: this.#moment };
  }
}

function encode({ last, forgotten, answers }: Held): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter();
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
  return out.view().slice();
}

function bytesOf({ names }: ClientAnswer): number {
  if (names.every(isSlot)) return ANSWER_BYTES + 4 + 4 * names.length;
  return ANSWER_BYTES + 8 + paddedLength(encodeNames(names).length);
}

function isSlot(name: RowId): name is number {
  return typeof name === "number" && name === name >>> 0 && name !== NAMED;
}

function readNames(reader: ByteReader): RowId[] {
  const count = reader.u32();
  return count === NAMED ? decodeNames(reader.bytes()) : Array.from({ length: count }, () => reader.u32());
}
