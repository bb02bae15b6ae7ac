/**
 * Comms between front ends and the kernel: who has which open, and what is on its way.
 *
 * Invariant: what front ends say reaches the kernel in order; for each message there is one busy and one idle, and what it
 * led to is published between them.
 */

import type { Origin } from "../prelude/outputs.ts";
import type { JsonObject, Message } from "../protocol/message.ts";
import type { ChildKernel } from "./child.ts";
import type { News } from "./news.ts";

/** The types of messages of comms. */
export const COMM_TYPES: ReadonlySet<string> = new Set(["comm_open", "comm_msg", "comm_close"]);

/** Late outputs of so many messages find theirs. */
const REMEMBERED = 1000;

/** Keeps the books. */
export class CommRelay {
  readonly #news: News;
  readonly #open = new Map<string, string>();
  readonly #pending = new Map<number, Message>();
  /** Handled lately: what they have left running may show something yet. */
  readonly #handled = new Map<number, Message>();
  #lastId = 0;
  /** The last message that a cell has waited for. */
  #waitedFor = 0;
  #onHandled: (() => void) | null = null;

  constructor(news: News) {
    this.#news = news;
  }

  /** The message of a front end that is handled now; null when none is. */
  get current(): Message | null {
    return [...this.#pending.values()].at(-1) ?? null;
  }

  /** The message that something belongs to; null where that is not known. */
  messageOf(origin: Origin | null): Message | null {
    if (origin?.kind !== "comm") return null;
    return this.#pending.get(origin.id) ?? this.#handled.get(origin.id) ?? null;
  }

  /** The open comms, in the form of a reply. */
  info(target: unknown): Record<string, { target_name: string }> {
    return Object.fromEntries(
      [...this.#open].filter(([, name]) => typeof target !== "string" || name === target)
        .map(([id, name]) => [id, { target_name: name }]),
    );
  }

  /** Passes on what a front end says. */
  toKernel(message: Message, child: ChildKernel): void {
    const { header, content, metadata, buffers } = message;
    this.#note(header.msg_type, content);
    const id = ++this.#lastId;
    this.#pending.set(id, message);
    this.#news.status("busy", message);
    child.link.tell({ type: "comm", id, news: { type: header.msg_type, content, metadata } }, buffers);
  }

  /** Takes note of what the kernel says of comms. */
  fromKernel(type: string, content: JsonObject): void {
    this.#note(type, content);
  }

  /** A message was handled. */
  handled(id: number): void {
    const message = this.#pending.get(id);
    if (!message) return;
    this.#pending.delete(id);
    this.#handled.set(id, { ...message, content: {}, buffers: [] });
    this.#handled.delete(id - REMEMBERED);
    this.#news.status("idle", message);
    this.#onHandled?.();
  }

  /**
   * Resolves when what is on its way has been handled, or after some time: a handler may wait for a cell, or for ever, so
   * that each message is waited for once.
   */
  async settle(milliseconds: number): Promise<void> {
    const after = this.#waitedFor, before = this.#waitedFor = this.#lastId;
    for (const until = performance.now() + milliseconds; performance.now() < until;) {
      if (![...this.#pending.keys()].some((id) => id > after && id <= before)) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, until - performance.now());
        this.#onHandled = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** All that was on its way is done with: what handled it was stopped. */
  giveUp(): void {
    for (const id of [...this.#pending.keys()]) this.handled(id);
  }

  #note(type: string, { comm_id: id, target_name: target }: JsonObject): void {
    if (typeof id !== "string") return;
    if (type === "comm_open") this.#open.set(id, String(target));
    if (type === "comm_close") this.#open.delete(id);
  }
}
