/**
 * The proxy's end of the line to the code inside of the kernel: a port on loopback where who knows a token is let in, once.
 *
 * Invariant: nobody else is listened to, who is connected is not replaced, and a question is answered, or given up after its
 * time.
 */

import { timingSafeEqual } from "node:crypto";
import { encodeLinkFrame, readLinkFrame } from "../link/frames.ts";
import { closeStream, Listener } from "../listener.ts";
import type { JsonObject } from "../protocol/message.ts";
import { ByteReader } from "../zmtp/byte_reader.ts";
import { isOfOther } from "../front/neighbours.ts";

/** The limits of a connection until it is known whose it is: bytes, milliseconds, and how many there may be. */
const HELLO_BYTES = 256, HELLO_MS = 5000, STRANGERS = 16;

/**
 * Code that is terminated takes with it what the event loop was about to do, the reading of a line among it; a line on which
 * nothing was said meanwhile goes on.
 */
const LINES = 4;

/** The tokens of the kernel: those of its lines, and that of the line by which a worker in it watches the proxy. */
export interface LinkTokens {
  readonly lines: readonly string[];
  readonly watch: string;
}

/** Listens until it is closed. */
export class LinkServer implements Disposable {
  /** Where it listens. */
  readonly port: number;
  /** Told what the worker says that watches. */
  onSaid: (head: JsonObject) => void = () => {};
  readonly #listener: Listener;
  readonly #questions = new Map<number, (answer: JsonObject) => void>();
  readonly #strangers = new Set<Deno.TcpConn>();
  #tokens = new Map<string, "hello" | "watch">();
  /** The lines to the kernel that are open, the one in use first. */
  readonly #lines: Deno.TcpConn[] = [];
  #watch: Deno.TcpConn | null = null;
  /** What its worker has not heard of yet, one byte each: units that were handed on, and presses of the stop button. */
  #untold: number[] = [];
  #presses = 0;
  #thread: number | null = null;
  #lastWrite: Promise<unknown> = Promise.resolve();
  #lastId = 0;
  #isDoubtful = false;

  constructor() {
    this.#listener = new Listener("127.0.0.1", 0, (stream) => this.#take(stream));
    this.port = this.#listener.port;
  }

  /** Fresh tokens; those from before let nobody in any more, and a line that is open ends. */
  renew(): LinkTokens {
    const [watch, ...lines] = Array.from(
      { length: LINES + 1 },
      () => crypto.getRandomValues(new Uint8Array(32)).toHex(),
    );
    this.#tokens = new Map([[watch, "watch"], ...lines.map((line) => [line, "hello"] as const)]);
    for (const line of this.#lines.splice(0)) closeStream(line);
    return { lines, watch };
  }

  /** Whether code was terminated since the last answer: nobody may be listening any more on the line in use. */
  get isDoubtful(): boolean {
    return this.#isDoubtful;
  }

  /** Code is terminated. */
  doubt(): void {
    this.#isDoubtful = true;
  }

  /** Whether lines were lost. */
  get isShort(): boolean {
    return this.#lines.length < LINES;
  }

  /** Speaks by another line from now on, on which nothing has been said yet; false where there is none. */
  switchLine(): boolean {
    if (this.#lines.length < 2) return false;
    closeStream(this.#lines.shift()!);
    return true;
  }

  /** The number of the thread in which cells run; null where the system has none. */
  get thread(): number | null {
    return this.#thread;
  }

  /** Says something. Where no kernel is, nobody hears it. */
  tell(head: JsonObject, buffers: readonly Uint8Array[] = []): void {
    const [kernel] = this.#lines;
    if (!kernel) return;
    const bytes = encodeLinkFrame(head, buffers);
    this.#lastWrite = this.#lastWrite.then(async () => {
      for (let at = 0; at < bytes.length;) at += await kernel.write(bytes.subarray(at));
    }).catch(() => {});
  }

  /** Says that so many units of text have been handed on; a worker hears it, however busy the kernel is. */
  handedOn(units: number): void {
    for (let unit = 0; unit < units; unit++) this.#untold.push(0);
    this.#tellWatch();
  }

  /** Says that the stop button was pressed, so often by now. */
  pressed(presses: number): void {
    for (; this.#presses < presses; this.#presses++) this.#untold.push(1);
    this.#tellWatch();
  }

  #tellWatch(): void {
    if (!this.#watch || this.#untold.length === 0) return;
    // So few bytes are written at once, and their loss would matter to nobody.
    this.#watch.write(Uint8Array.from(this.#untold.splice(0))).catch(() => {});
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

  #take(stream: Deno.TcpConn): Promise<void> | null {
    if (isOfOther(stream)) return null;
    // The oldest connection that has sent nothing makes room.
    const [oldest] = this.#strangers;
    if (this.#strangers.size >= STRANGERS) closeStream(oldest);
    return this.#serve(stream);
  }

  async #serve(stream: Deno.TcpConn): Promise<void> {
    try {
      const reader = new ByteReader(stream);
      const role = await this.#greet(stream, reader);
      if (role === "hello") {
        stream.setNoDelay(true);
        this.#lines.push(stream);
      }
      if (role === "watch") {
        this.#watch = stream;
        this.#tellWatch();
      }
      while (role !== null) {
        const { head } = await readLinkFrame(reader);
        if (role === "watch") this.onSaid(head);
        if (head.type !== "answer") continue;
        this.#isDoubtful = false;
        this.#questions.get(Number(head.id))?.(head);
      }
    } catch {
      // It has ended, or does not speak as it should.
    } finally {
      const at = this.#lines.indexOf(stream);
      if (at !== -1) this.#lines.splice(at, 1);
      if (this.#watch === stream) this.#watch = null;
    }
  }

  /** The role of who knows its token, which is used up by that; null for anybody else. */
  async #greet(stream: Deno.TcpConn, reader: ByteReader): Promise<"hello" | "watch" | null> {
    this.#strangers.add(stream);
    const timer = setTimeout(() => closeStream(stream), HELLO_MS);
    try {
      const { head } = await readLinkFrame(reader, HELLO_BYTES, 0);
      const known = [...this.#tokens].find(([token, role]) =>
        head.type === role && isSame(String(head.token), token)
      );
      if (!known) return null;
      const [token, role] = known;
      this.#tokens.delete(token);
      if (typeof head.thread === "number") this.#thread = head.thread;
      return role;
    } finally {
      clearTimeout(timer);
      this.#strangers.delete(stream);
    }
  }
}

function isSame(theirs: string, ours: string): boolean {
  const encoder = new TextEncoder(), a = encoder.encode(theirs), b = encoder.encode(ours);
  return a.length === b.length && timingSafeEqual(a, b);
}
