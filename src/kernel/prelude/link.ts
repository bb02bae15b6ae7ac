/**
 * The kernel's end of the line to the proxy.
 *
 * Invariant: frames are handed on in order. Whoever takes them runs no code of cells then: what is terminated would take
 * the line with it.
 */

import { encodeLinkFrame, type LinkFrame, readLinkFrame } from "../link/frames.ts";
import type { JsonObject } from "../protocol/message.ts";
import { ByteReader } from "../zmtp/byte_reader.ts";
import { Deno, Number } from "../natives.ts";

/** An open line. */
export class Link {
  readonly #stream: Deno.TcpConn;
  readonly #reader: ByteReader;
  /** Frames that are not yet written. */
  readonly #waiting: Uint8Array[] = [];
  #isWriting = false;

  private constructor(stream: Deno.TcpConn) {
    this.#stream = stream;
    this.#reader = new ByteReader(stream);
  }

  /** Connects, and says who it is. */
  static async open(port: number, token: string): Promise<Link> {
    const stream = await Deno.connect({ hostname: "127.0.0.1", port });
    stream.setNoDelay(true);
    const link = new Link(stream);
    link.send({ type: "hello", token, thread: threadNumber() });
    return link;
  }

  /**
   * Sends a frame: before this returns, where no other is on its way. What runs next may take so long that the proxy would
   * miss it.
   */
  send(head: JsonObject): void {
    this.#waiting.push(encodeLinkFrame(head));
    if (!this.#isWriting) this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let bytes = this.#waiting.shift(); bytes !== undefined; bytes = this.#waiting.shift()) {
        for (let at = 0; at < bytes.length;) at += await this.#stream.write(bytes.subarray(at));
      }
    } catch {
      // The proxy is gone.
    }
    this.#isWriting = false;
  }

  /** Hands frames on until the proxy ends the line. */
  async listen(take: (frame: LinkFrame) => void): Promise<void> {
    try {
      for (;;) {
        const frame = await readLinkFrame(this.#reader);
        take(frame);
      }
    } catch {
      // The proxy is gone, or nothing more can be understood; the one who waits for the end knows what to do.
    }
  }
}

/** The system's number of the thread of the cells; null where threads have no numbers. */
function threadNumber(): number | null {
  try {
    return Number(Deno.readLinkSync("/proc/thread-self").split("/").at(-1));
  } catch {
    return null;
  }
}
