/**
 * A channel of a kernel from the side of a front end: signed messages over one connection.
 *
 * Invariant: what is not of the protocol or not signed by the key is dropped and counted, and never shown.
 */

import { KernelError, ProtocolError } from "../errors.ts";
import type { SocketType } from "../zmtp/handshake.ts";
import { Peer } from "../zmtp/peer.ts";
import type { MessageCodec } from "./codec.ts";
import type { ChannelName, Connection } from "./connection.ts";
import type { Message } from "./message.ts";

const SOCKETS: Readonly<Record<ChannelName, SocketType>> = {
  shell: "DEALER",
  control: "DEALER",
  stdin: "DEALER",
  iopub: "SUB",
  hb: "REQ",
};
/** Subscribes to every topic. */
const SUBSCRIPTION = Uint8Array.of(1);
/** How long to wait between looks at a port where nobody listens yet. */
const RETRY_MS = 20;

/** Opens a connection to one of the sockets of a kernel, as soon as it listens, unless `signal` says that it took too long. */
export async function openPeer(
  { ip, ports }: Connection,
  channel: ChannelName,
  identity: Uint8Array,
  signal: AbortSignal,
): Promise<Peer> {
  for (;;) {
    try {
      const stream = await Deno.connect({ hostname: ip, port: ports[channel] });
      stream.setNoDelay(true);
      const peer = await Peer.open(stream, { type: SOCKETS[channel], identity });
      if (channel === "iopub") await peer.send([SUBSCRIPTION]);
      return peer;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      if (signal.aborted) {
        throw new KernelError("openPeer", `nobody listens on the port of ${channel}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Messages to and from one socket of a kernel. */
export class Channel {
  readonly #peer: Peer;
  readonly #codec: MessageCodec;
  #rejected = 0;

  constructor(peer: Peer, codec: MessageCodec) {
    this.#peer = peer;
    this.#codec = codec;
  }

  /** Messages that were dropped. */
  get rejected(): number {
    return this.#rejected;
  }

  /** Sends a message. */
  send(message: Message): Promise<void> {
    return this.#peer.send(this.#codec.encode(message));
  }

  /** The messages that come, until one end closes. */
  async *messages(): AsyncGenerator<Message, void> {
    for await (const frames of this.#peer.messages()) {
      const message = this.#decode(frames);
      if (message) yield message;
    }
  }

  /** Ends the connection. */
  close(): void {
    this.#peer.close();
  }

  #decode(frames: readonly Uint8Array<ArrayBuffer>[]): Message | null {
    try {
      return this.#codec.decode(frames);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#rejected++;
      return null;
    }
  }
}
