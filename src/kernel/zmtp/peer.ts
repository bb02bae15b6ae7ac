/**
 * One connection that speaks ZMTP, from either end. It carries messages as they are: which frames a DEALER, a REQ or a SUB
 * puts in front is up to its user, see `channels.ts`.
 *
 * Invariant: a message is written in one piece and in the order of the calls; after `close` nothing is sent or received.
 */

import { ProtocolError } from "../errors.ts";
import { ByteReader, EndOfStream } from "./byte_reader.ts";
import { encodeCommand, encodeMessage, readFrame } from "./frames.ts";
import { encodeIntroduction, type Introduction, readIntroduction, type SocketType } from "./handshake.ts";

/** A message: its frames. */
export type Frames = readonly Uint8Array<ArrayBuffer>[];

/** The greeting of a peer, and its limits. */
export interface PeerOptions {
  readonly type: SocketType;
  /** The identity that a ROUTER at the other end knows it by; none unless given. */
  readonly identity?: Uint8Array;
  /** Bytes that a message may have; 1 GiB unless given. */
  readonly messageLimit?: number;
  /** Frames that a message may have; 131,072 unless given. */
  readonly frameLimit?: number;
  /** How long greeting may take; 10 s unless given. */
  readonly handshakeMs?: number;
}

/** The part of a TCP connection that is used. */
export type Stream = Pick<Deno.Conn, "read" | "write" | "close">;

const MESSAGE_LIMIT = 2 ** 30, FRAME_LIMIT = 2 ** 17;
const PING = "\x04PING", PONG = "\x04PONG";

/** One end of an open connection. */
export class Peer {
  /** The greeting of the other end. */
  readonly introduction: Introduction;
  readonly #stream: Stream;
  readonly #reader: ByteReader;
  #limit: number;
  #frameLimit: number;
  #lastWrite: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(
    stream: Stream,
    reader: ByteReader,
    introduction: Introduction,
    limit: number,
    frameLimit: number,
  ) {
    this.#stream = stream;
    this.#reader = reader;
    this.introduction = introduction;
    this.#limit = limit;
    this.#frameLimit = frameLimit;
  }

  /** Greets the other end. When that fails, the stream is closed. */
  static async open(stream: Stream, options: PeerOptions): Promise<Peer> {
    const { type, identity = new Uint8Array(), handshakeMs = 10_000 } = options;
    const { messageLimit = MESSAGE_LIMIT, frameLimit = FRAME_LIMIT } = options;
    const reader = new ByteReader(stream);
    // A read that hangs ends when its stream is closed.
    const timer = setTimeout(() => closeQuietly(stream), handshakeMs);
    try {
      await writeAll(stream, encodeIntroduction(type, identity));
      return new Peer(stream, reader, await readIntroduction(reader, type), messageLimit, frameLimit);
    } catch (error) {
      closeQuietly(stream);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether it was closed, by either end. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** From now on messages may be as long as they may be at most: the other end is known. */
  trust(): void {
    this.#limit = MESSAGE_LIMIT;
    this.#frameLimit = FRAME_LIMIT;
  }

  /** Sends a message; resolves once it was handed to the system. */
  send(frames: readonly Uint8Array[]): Promise<void> {
    return this.#write(encodeMessage(frames));
  }

  /** The messages that come, until one end closes. Throws a `ProtocolError`, and closes, at what is not of the protocol. */
  async *messages(): AsyncGenerator<Frames, void> {
    try {
      for (;;) yield await this.#readMessage();
    } catch (error) {
      if (this.#isClosed || !(error instanceof ProtocolError)) return;
      throw error;
    } finally {
      this.close();
    }
  }

  /** Ends the connection. */
  close(): void {
    this.#isClosed = true;
    closeQuietly(this.#stream);
  }

  async #readMessage(): Promise<Frames> {
    const frames: Uint8Array<ArrayBuffer>[] = [];
    let left = this.#limit;
    for (;;) {
      const { body, more, command } = await readFrame(this.#reader, left);
      if (command) {
        await this.#answer(body);
        continue;
      }
      if (frames.push(body) > this.#frameLimit) {
        throw new ProtocolError(
          "Peer.messages",
          `more than ${this.#frameLimit} frames`,
          "a message of fewer",
        );
      }
      // Empty frames count too, since a message could otherwise have any number of them.
      left -= body.length + 1;
      if (!more) return frames;
    }
  }

  /** The one command that wants an answer is PING, whose time to live comes first and whose context goes back. */
  async #answer(body: Uint8Array): Promise<void> {
    if (new TextDecoder().decode(body.subarray(0, 5)) !== PING) return;
    const context = body.subarray(7, 23);
    await this.#write(encodeCommand(Uint8Array.from([...new TextEncoder().encode(PONG), ...context])));
  }

  #write(bytes: Uint8Array): Promise<void> {
    const written = this.#lastWrite.then(() => {
      if (this.#isClosed) throw new EndOfStream("the connection is closed");
      return writeAll(this.#stream, bytes);
    });
    this.#lastWrite = written.catch(() => {});
    return written;
  }
}

async function writeAll(stream: Stream, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await stream.write(bytes.subarray(written));
}

function closeQuietly(stream: Stream): void {
  try {
    stream.close();
  } catch {
    // It was closed before.
  }
}
