/**
 * The outputs of cells, on their way to the proxy: each output says which cell or message it belongs to, and small pieces of text
 * travel together.
 *
 * Invariant: everything leaves in the order in which it was made, whatever it is; nothing is held back for longer than
 * {@link HOLD_MS} while the code that made it computes, nor after the cell has ended.
 */

import type { JsonObject } from "../protocol/message.ts";
import type { Buffers } from "./bridge.ts";
import { performance } from "../natives.ts";

/** The cell, or the message of a front end, that something belongs to. */
export interface Origin {
  readonly kind: "cell" | "comm";
  readonly id: number;
}

/** Sends a message by the way that outputs of the stock kernel take; it leaves at once, also while code computes. */
export type Broadcast = (
  type: string,
  content: JsonObject,
  parts?: { readonly metadata?: JsonObject; readonly buffers?: Buffers },
) => void;

/** The standard streams. */
export type StreamName = "stdout" | "stderr";

/** Text waits so long for more of its kind, and no message of it grows beyond so many letters. */
const HOLD_MS = 40, HOLD_LENGTH = 2 ** 17;

/** The row of all outputs. */
export class Outputs {
  readonly #broadcast: Broadcast;
  readonly #marker: string;
  readonly #originNow: () => Origin | null;
  readonly #later: (work: () => void, milliseconds: number) => void;
  readonly #sent: (letters: number) => void;
  #pieces: string[] = [];
  /** Where errors begin and end in the text that waits. */
  #traces: number[] = [];
  #length = 0;
  #name: StreamName = "stdout";
  #origin: Origin | null = null;
  #sentAt = -Infinity;
  #isTimed = false;

  /** `originNow` says what the running code belongs to, `later` calls in a turn of its own, `sent` is told of text. */
  constructor(
    broadcast: Broadcast,
    marker: string,
    originNow: () => Origin | null,
    later: (work: () => void, milliseconds: number) => void,
    sent: (letters: number) => void,
  ) {
    this.#broadcast = broadcast;
    this.#marker = marker;
    this.#originNow = originNow;
    this.#later = later;
    this.#sent = sent;
  }

  /** A cell begins: its first piece leaves at once, however soon after the last one of another. */
  begin(): void {
    this.#sentAt = -Infinity;
    // The timer may have been lost with code that was terminated.
    this.#isTimed = false;
  }

  /** Shows an error: the proxy quotes the line that threw it. */
  writeTrace(text: string): void {
    const name = "stderr", origin = this.#originNow();
    if (this.#length > 0 && (this.#name !== name || !isSame(origin, this.#origin))) this.flush();
    this.#traces.push(this.#length, this.#length + text.length);
    this.write(name, text, origin);
  }

  /** Shows text. */
  write(name: StreamName, text: string, origin: Origin | null = this.#originNow()): void {
    if (text === "") return;
    if (this.#length > 0 && (name !== this.#name || !isSame(origin, this.#origin))) this.flush();
    this.#name = name;
    this.#origin = origin;
    this.#pieces.push(text);
    this.#length += text.length;
    // After a pause the first piece leaves at once, since the code may go on to compute for long.
    if (this.#length > HOLD_LENGTH || performance.now() - this.#sentAt > HOLD_MS) this.flush();
    else if (!this.#isTimed) {
      this.#isTimed = true;
      this.#later(() => {
        this.#isTimed = false;
        this.flush();
      }, HOLD_MS / 4);
    }
  }

  /** Shows anything else. */
  show(
    type: string,
    content: JsonObject,
    parts: { readonly metadata?: JsonObject; readonly buffers?: Buffers } = {},
    origin: Origin | null = this.#originNow(),
  ): void {
    this.mark({ kind: "output", origin, type, content }, parts);
  }

  /** A word for the proxy alone, in the row of all outputs: what came before it has come. */
  mark(
    content: JsonObject,
    { metadata = {}, buffers = [] }: { readonly metadata?: JsonObject; readonly buffers?: Buffers } = {},
  ): void {
    this.flush();
    this.#broadcast(this.#marker, content, { metadata, buffers });
  }

  /** Sends the text that waits. */
  flush(): void {
    if (this.#length === 0) return;
    const traces = this.#traces.length > 0 ? { traces: this.#traces } : {};
    const content = { name: this.#name, text: this.#pieces.join(""), ...traces };
    this.#pieces = [];
    this.#traces = [];
    this.#length = 0;
    this.#broadcast(this.#marker, { kind: "output", origin: this.#origin, type: "stream", content });
    this.#sent(content.text.length);
    this.#sentAt = performance.now();
  }
}

function isSame(a: Origin | null, b: Origin | null): boolean {
  return a === b || a !== null && b !== null && a.kind === b.kind && a.id === b.id;
}
