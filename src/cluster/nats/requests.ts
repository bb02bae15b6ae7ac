/**
 * Requests from one process to another over subjects of the servers.
 */

import { LOG_TIMEOUT_MS, LogError, type LogWait } from "../log.ts";
import type { NatsLink } from "./link.ts";
import { failureOf } from "./nats_errors.ts";
import type { Core } from "./packages.ts";
import type { StoreNames } from "./stores.ts";

/** What answers requests. */
export type Handler = (body: Uint8Array<ArrayBuffer>) => Promise<Uint8Array> | Uint8Array;

/** A request with this header asks whether somebody serves the address; a reply with it says why there is no answer. */
const ASIDE = "Attune-Aside";
const IS_SERVED = "is-served", TOO_LARGE = "too-large";
/** A process that is alive answers in this time whether it serves an address; a frozen one has lost it. */
const SERVED_MS = 500;
/** The longest time of a timer. */
const LONGEST_MS = 2 ** 31 - 1;

/** Asks and serves. */
export class NatsRequests {
  readonly #link: NatsLink;
  readonly #names: StoreNames;
  readonly #largest: number;

  constructor(link: NatsLink, names: StoreNames, largest: number) {
    this.#link = link;
    this.#names = names;
    this.#largest = largest;
  }

  async request(address: string, body: Uint8Array, options: LogWait): Promise<Uint8Array<ArrayBuffer>> {
    const subject = this.#names.askPrefix + address, { nc } = this.#link;
    // One attempt takes all the time there is, since a second one would be a second request.
    const timeout = Math.min((options.timeoutMs ?? LOG_TIMEOUT_MS) + SERVED_MS, LONGEST_MS);
    const ask = async () => {
      try {
        return await nc.request(subject, body, { timeout });
      } catch (error) {
        if (failureOf(this.#link.packages, error) !== "unsent") throw error;
        throw new LogError("request", "unreachable", `nobody serves ${address}`, { cause: error });
      }
    };
    const reply = await this.#link.call("request", options, "unsent", ask);
    const aside = reply.headers?.get(ASIDE) ?? "";
    if (aside.startsWith(TOO_LARGE)) {
      throw new LogError(
        "request",
        "refused",
        `reply has ${aside.slice(TOO_LARGE.length + 1)} bytes, ` +
          `expected ${this.#largest} at most`,
      );
    }
    return new Uint8Array(reply.data);
  }

  async serve(address: string, handler: Handler): Promise<AsyncDisposable> {
    const subject = this.#names.askPrefix + address, { nc } = this.#link;
    if (await this.#isServed(subject)) {
      throw new LogError("serve", "refused", `address ${address} is served, expected one that nobody serves`);
    }
    let fail: (error: Error) => void = () => {};
    const failed = new Promise<never>((_, reject) => fail = reject);
    failed.catch(() => {});
    const subscription = nc.subscribe(subject, {
      callback: (error, message) => {
        if (error) fail(error);
        else this.#answer(message, handler);
      },
    });
    // The server has the subscription when it has answered what was sent after it, and a refusal comes before that.
    await this.#link.call("serve", {}, "always", () => Promise.race([nc.flush(), failed]));
    return {
      [Symbol.asyncDispose]: async () => {
        subscription.unsubscribe();
        if (!nc.isClosed()) await nc.flush().catch(() => {});
      },
    };
  }

  /** Whether somebody else serves an address. */
  async #isServed(subject: string): Promise<boolean> {
    const { nc, packages } = this.#link;
    const headers = packages.core.headers();
    headers.set(ASIDE, IS_SERVED);
    return await this.#link.call("serve", {}, "unsent", async () => {
      try {
        await nc.request(subject, new Uint8Array(0), { timeout: SERVED_MS, headers });
        return true;
      } catch (error) {
        if (failureOf(packages, error) === "refused") throw error;
        return false;
      }
    });
  }

  async #answer(message: Core.Msg, handler: Handler): Promise<void> {
    const headers = this.#link.packages.core.headers();
    if (message.headers?.get(ASIDE) === IS_SERVED) {
      headers.set(ASIDE, IS_SERVED);
      message.respond(new Uint8Array(0), { headers });
      return;
    }
    try {
      const reply = await handler(new Uint8Array(message.data));
      if (reply.length <= this.#largest) {
        message.respond(reply);
      } else {
        headers.set(ASIDE, `${TOO_LARGE} ${reply.length}`);
        message.respond(new Uint8Array(0), { headers });
      }
    } catch {
      // A handler that throws answers nothing; so does a connection that is closed.
    }
  }
}
