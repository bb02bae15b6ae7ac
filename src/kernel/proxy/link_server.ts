/**
 * The proxy's end of the line to the code inside of the kernel: a port on loopback where who knows the token is let in.
 *
 * Invariant: nobody else is listened to, and a question is answered, or given up after its time.
 */

import { timingSafeEqual } from "node:crypto";
import { encodeLinkFrame, readLinkFrame } from "../link/frames.ts";
import { closeStream, Listener } from "../listener.ts";
import type { JsonObject } from "../protocol/message.ts";
import { ByteReader } from "../zmtp/byte_reader.ts";

/** What somebody may say, and how long it may take, until it is known who it is. */
const HELLO_BYTES = 256, HELLO_MS = 5000, STRANGERS = 16;

/** Listens until it is closed. */
export class LinkServer implements Disposable {
  /** Where it listens. */
  readonly port: number;
  /** Who knows it is let in. */
  readonly token: string = crypto.getRandomValues(new Uint8Array(32)).toHex();
  readonly #listener: Listener;
  readonly #questions = new Map<number, (answer: JsonObject) => void>();
  #kernel: Deno.TcpConn | null = null;
  #thread: number | null = null;
  #lastWrite: Promise<unknown> = Promise.resolve();
  #lastId = 0;
  #strangers = 0;

  constructor() {
    this.#listener = new Listener(
      "127.0.0.1",
      0,
      (stream) => this.#strangers < STRANGERS ? this.#serve(stream) : null,
    );
    this.port = this.#listener.port;
  }

  /** The number of the thread in which cells run; null where the system has none. */
  get thread(): number | null {
    return this.#thread;
  }

  /** Says something. Where no kernel is, nobody hears it. */
  tell(head: JsonObject, buffers: readonly Uint8Array[] = []): void {
    const kernel = this.#kernel;
    if (!kernel) return;
    const bytes = encodeLinkFrame(head, buffers);
    this.#lastWrite = this.#lastWrite.then(async () => {
      for (let at = 0; at < bytes.length;) at += await kernel.write(bytes.subarray(at));
    }).catch(() => {});
  }

  /** Asks something; null when there is no answer in time. */
  async ask(head: JsonObject, timeoutMs: number): Promise<JsonObject | null> {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<JsonObject | null>();
    this.#questions.set(id, resolve);
    const timer = setTimeout(() => resolve(null), timeoutMs);
    try {
      this.tell({ ...head, id });
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#questions.delete(id);
    }
  }

  /** Ends all lines; the kernel ends when it sees that. */
  [Symbol.dispose](): void {
    this.#listener[Symbol.dispose]();
  }

  async #serve(stream: Deno.TcpConn): Promise<void> {
    try {
      const reader = new ByteReader(stream);
      const role = await this.#greet(stream, reader);
      if (role === "hello") {
        stream.setNoDelay(true);
        this.#kernel = stream;
      }
      while (role !== null) {
        const { head } = await readLinkFrame(reader);
        if (head.type === "answer") this.#questions.get(Number(head.id))?.(head);
      }
    } catch {
      // It has ended, or does not speak as it should.
    } finally {
      if (this.#kernel === stream) this.#kernel = null;
    }
  }

  /** The role of who knows the token; null for anybody else. */
  async #greet(stream: Deno.TcpConn, reader: ByteReader): Promise<string | null> {
    this.#strangers++;
    const timer = setTimeout(() => closeStream(stream), HELLO_MS);
    try {
      const { head } = await readLinkFrame(reader, HELLO_BYTES);
      const encoder = new TextEncoder();
      const theirs = encoder.encode(String(head.token)), ours = encoder.encode(this.token);
      if (theirs.length !== ours.length || !timingSafeEqual(theirs, ours)) return null;
      if (typeof head.thread === "number") this.#thread = head.thread;
      return head.type === "hello" || head.type === "watch" ? head.type : null;
    } finally {
      clearTimeout(timer);
      this.#strangers--;
    }
  }
}
