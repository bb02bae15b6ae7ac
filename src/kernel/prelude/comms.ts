/**
 * The ends of comms that are in the kernel.
 *
 * Invariant: messages of the front end are handled in the order in which they came, one begins after the other; each is
 * acknowledged once what it led to is done, also when that failed.
 */

import type { JsonObject } from "../protocol/message.ts";
import type { Buffers, Comm, CommMessage, CommParts, CommTarget } from "./bridge.ts";
import { Array, crypto, Error, Map, String, TypeError } from "../natives.ts";

/** Sends a message to all front ends. */
export type Broadcast = (
  type: string,
  content: JsonObject,
  parts: { readonly metadata: JsonObject; readonly buffers: Buffers },
) => void;

/** A message of a front end about a comm. */
export interface CommNews {
  readonly type: "comm_open" | "comm_msg" | "comm_close";
  readonly content: JsonObject;
  readonly metadata: JsonObject;
  readonly buffers: readonly Uint8Array<ArrayBuffer>[];
}

/** All comms of a kernel. */
export class Comms {
  readonly #open = new Map<string, OpenComm>();
  readonly #targets = new Map<string, CommTarget>();
  readonly #broadcast: Broadcast;

  constructor(broadcast: Broadcast) {
    this.#broadcast = broadcast;
  }

  /** Says who takes comms of a kind that front ends open. */
  registerTarget(target: string, take: CommTarget): void {
    if (typeof target !== "string" || typeof take !== "function") {
      throw new TypeError("registerTarget: expected a name and a function");
    }
    this.#targets.set(target, take);
  }

  /** Opens a comm. */
  open(target: string, data: JsonObject, parts: CommParts = {}): Comm {
    const comm = this.#add(crypto.randomUUID().replaceAll("-", ""), target);
    this.#send("comm_open", { comm_id: comm.id, target_name: target, data }, parts);
    return comm;
  }

  /** Handles what a front end says; resolves when that is done. */
  async take({ type, content, metadata, buffers }: CommNews): Promise<void> {
    const { comm_id: id, data } = content;
    if (typeof id !== "string") return;
    const message: CommMessage = { data: isObject(data) ? data : {}, metadata, buffers };
    if (type === "comm_open") {
      const target = String(content.target_name);
      const take = this.#targets.get(target);
      // A front end that opens a comm of an unknown kind is told that it is closed.
      if (!take) return this.#send("comm_close", { comm_id: id, data: {} }, {});
      const comm = this.#add(id, target);
      await take(comm, message);
      return;
    }
    const comm = this.#open.get(id);
    if (!comm) return;
    if (type === "comm_close") {
      this.#open.delete(id);
      comm.isClosed = true;
      await comm.onClose?.(message);
    } else await comm.onMessage?.(message);
  }

  #add(id: string, target: string): OpenComm {
    const comm = new OpenComm(id, target, (type, content, parts) => {
      if (type === "comm_close") this.#open.delete(id);
      this.#send(type, content, parts);
    });
    this.#open.set(id, comm);
    return comm;
  }

  #send(type: string, content: JsonObject, { metadata = {}, buffers = [] }: CommParts): void {
    this.#broadcast(type, content, { metadata, buffers });
  }
}

class OpenComm implements Comm {
  readonly id: string;
  readonly target: string;
  isClosed = false;
  onMessage: Comm["onMessage"] = null;
  onClose: Comm["onClose"] = null;
  readonly #send: (type: string, content: JsonObject, parts: CommParts) => void;

  constructor(
    id: string,
    target: string,
    send: (type: string, content: JsonObject, parts: CommParts) => void,
  ) {
    this.id = id;
    this.target = target;
    this.#send = send;
  }

  send(data: JsonObject, parts: CommParts = {}): void {
    if (this.isClosed) throw new Error(`Comm.send: comm ${this.id} is closed, expected an open one`);
    this.#send("comm_msg", { comm_id: this.id, data }, parts);
  }

  close(data: JsonObject = {}, parts: CommParts = {}): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#send("comm_close", { comm_id: this.id, data }, parts);
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
