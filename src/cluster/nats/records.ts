/**
 * Records of a memory in one stream: appended with an id that the servers know again, followed in order.
 *
 * Invariant: a follower gives each record once and in order, or throws "damaged"; the numbers of acknowledged
 * appends grow, or the append throws "damaged".
 */

import { Changes } from "../changes.ts";
import { FOLLOWED_BYTES, LogError, type LogRecord, type LogWait } from "../log.ts";
import { type NatsLink, sleep } from "./link.ts";
import { failureOf, toLogError } from "./nats_errors.ts";
import type { JetStream } from "./packages.ts";
import type { NatsStores } from "./stores.ts";

/** A pull lasts this long; a server that says nothing for two heartbeats is asked anew. */
const PULL_MS = 4000, HEARTBEAT_MS = 1000;
const PAUSE_MS = 200;
/** How long the servers keep a reader that is gone. */
const FORGOTTEN_MS = 30_000;

/** Appends, follows and purges records. */
export class NatsRecords {
  readonly #link: NatsLink;
  readonly #stores: NatsStores;
  /** The greatest number that this session has seen. */
  #seen = 0;

  constructor(link: NatsLink, stores: NatsStores) {
    this.#link = link;
    this.#stores = stores;
  }

  async append(
    subject: string,
    body: Uint8Array,
    options: LogWait & { readonly id?: string },
  ): Promise<number> {
    const { js, packages } = this.#link, { names } = this.#stores;
    const msgID = `${subject} ${options.id ?? packages.core.nuid.next()}`, before = this.#seen;
    const append = (timeout: number) => js.publish(names.recordPrefix + subject, body, { msgID, timeout });
    const ack = await this.#link.call("append", options, "always", append, true).catch(async (error) => {
      // The client says that nobody responds both for a stream that is gone and for a server that is not there yet.
      if (error instanceof LogError && error.reason === "unreachable") await this.#demandStream(error);
      throw error;
    });
    const isNew = !ack.duplicate;
    if (ack.stream !== names.records || !(ack.seq >= 1) || (isNew && ack.seq <= before)) {
      const detail = `the append was acknowledged as ${ack.seq} of stream ${ack.stream}, ` +
        `expected more than ${before} of ${names.records}`;
      throw new LogError("append", "damaged", detail);
    }
    this.#seen = Math.max(this.#seen, ack.seq);
    return ack.seq;
  }

  /** Throws "damaged" where the servers say that the stream is another one or gone. */
  async #demandStream(failure: LogError): Promise<void> {
    try {
      await this.#stores.stateOfRecords("append", this.#seen);
    } catch (error) {
      throw error instanceof LogError && error.reason === "damaged" ? error : failure;
    }
  }

  async *follow(
    subject: string,
    after: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<LogRecord[]> {
    const stop = signal ? AbortSignal.any([signal, this.#link.closing]) : this.#link.closing;
    for (let at = after;;) {
      if (stop.aborted) break;
      const pull = new Pull(this.#link, this.#stores, subject, at, stop);
      try {
        for await (const records of pull.lists()) {
          at = records[records.length - 1].sequence;
          this.#seen = Math.max(this.#seen, at);
          yield records;
        }
      } catch (error) {
        if (stop.aborted) break;
        if (error instanceof LogError && !error.isPassing) throw error;
        const failure = failureOf(this.#link.packages, error);
        if (!(error instanceof LogError) && failure !== "unsent" && failure !== "unknown") {
          throw toLogError("follow", failure, error);
        }
        await Promise.race([sleep(PAUSE_MS), this.#link.changes.next(stop)]);
      } finally {
        pull.end();
      }
      if (!stop.aborted) this.#link.checkOpen("follow");
    }
    // A reader that was told to end before the session was closed just ends.
    if (!signal?.aborted) this.#link.checkOpen("follow");
  }

  async lastSequence(subject: string, options: LogWait): Promise<number> {
    const { jsm } = this.#link, { names } = this.#stores;
    const last = await this.#link.call(
      "lastSequence",
      options,
      "always",
      () => jsm.streams.getMessage(names.records, { last_by_subj: names.recordPrefix + subject }),
    );
    const seq = last?.seq ?? 0;
    this.#seen = Math.max(this.#seen, seq);
    return seq;
  }

  /** The newest record stays, so that its number is known. */
  async purge(subject: string, below: number, options: LogWait): Promise<void> {
    const { jsm } = this.#link, { names } = this.#stores;
    const seq = Math.min(below, await this.lastSequence(subject, options));
    if (seq <= 1) return;
    const filter = names.recordPrefix + subject;
    await this.#link.call(
      "purge",
      options,
      "always",
      () => jsm.streams.purge(names.records, { filter, seq }),
      true,
    );
  }
}

/** One reader of the server, until the connection changes. */
class Pull {
  readonly #link: NatsLink;
  readonly #stores: NatsStores;
  readonly #subject: string;
  readonly #stop: AbortSignal;
  readonly #generation: number;
  #at: number;
  #messages: JetStream.ConsumerMessages | null = null;
  #taken: LogRecord[] = [];
  #bytes = 0;
  #isOver = false;
  #failure: unknown = null;
  readonly #came = new Changes();
  readonly #went = new Changes();

  constructor(link: NatsLink, stores: NatsStores, subject: string, at: number, stop: AbortSignal) {
    this.#link = link;
    this.#stores = stores;
    this.#subject = subject;
    this.#at = at;
    this.#stop = stop;
    this.#generation = link.generation;
  }

  /** Lists of records, until the connection is another one. */
  async *lists(): AsyncGenerator<LogRecord[]> {
    await this.#stores.stateOfRecords("follow", this.#at);
    const { names } = this.#stores;
    const consumer = await this.#link.call(
      "follow",
      { signal: this.#stop },
      "always",
      () =>
        this.#link.js.consumers.get(names.records, {
          filter_subjects: [names.recordPrefix + this.#subject],
          deliver_policy: "by_start_sequence",
          opt_start_seq: this.#at + 1,
          inactive_threshold: FORGOTTEN_MS,
        }),
    );
    this.#messages = await consumer.consume({
      max_bytes: FOLLOWED_BYTES,
      expires: PULL_MS,
      idle_heartbeat: HEARTBEAT_MS,
    });
    this.#take(this.#messages);
    const wake = () => this.#came.tell();
    this.#stop.addEventListener("abort", wake);
    this.#watchLink();
    try {
      while (!this.#stop.aborted && this.#link.generation === this.#generation) {
        if (this.#taken.length > 0) {
          const list = this.#taken;
          this.#taken = [];
          this.#bytes = 0;
          this.#went.tell();
          yield list;
        } else if (this.#isOver) {
          if (this.#failure !== null) throw this.#failure;
          return;
        } else {
          this.#link.checkOpen("follow");
          await this.#came.next(this.#stop);
        }
      }
    } finally {
      this.#stop.removeEventListener("abort", wake);
    }
  }

  /** Gives the reader up. */
  end(): void {
    this.#isOver = true;
    this.#messages?.stop();
    this.#went.close();
    this.#came.close();
  }

  /** Takes messages off the server's hands, as many as may lie here. */
  async #take(messages: JetStream.ConsumerMessages): Promise<void> {
    try {
      for await (const message of messages) {
        if (this.#isOver) break;
        // Records that come twice over a reader that was made anew are dropped; the client asks again for
        // missing ones.
        if (message.seq <= this.#at) continue;
        this.#at = message.seq;
        // The client's bytes are a view of what it received, and may be those of a Node buffer, whose slice
        // is a view again.
        const body = new Uint8Array(message.data);
        this.#taken.push({ sequence: message.seq, body });
        this.#bytes += body.length;
        this.#came.tell();
        while (this.#bytes > FOLLOWED_BYTES && !this.#isOver) await this.#went.next(this.#stop);
      }
    } catch (error) {
      this.#failure = error;
    } finally {
      this.#isOver = true;
      this.#came.tell();
    }
  }

  /** Wakes the reader when the connection is another one. */
  async #watchLink(): Promise<void> {
    while (!this.#isOver && !this.#stop.aborted) {
      await this.#link.changes.next(this.#stop);
      this.#came.tell();
    }
  }
}
