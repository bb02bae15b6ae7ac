/**
 * Requests from one process to another over subjects of the servers.
 */

import { LOG_TIMEOUT_MS, LogError, type LogWait } from "../log.ts";
import { type NatsLink, sleep } from "./link.ts";
import { failureOf } from "./nats_errors.ts";
import type { Core } from "./packages.ts";
import type { StoreNames } from "./stores.ts";

/** Answers requests. */
export type Handler = (body: Uint8Array<ArrayBuffer>) => Promise<Uint8Array> | Uint8Array;

/**
 * A request with this header asks whether somebody serves the address; a reply with it says why there is no
 * answer.
 */
const ASIDE = "Attune-Aside";
const IS_SERVED = "is-served", IS_GONE = "is-gone", TOO_LARGE = "too-large";
/** A process that is alive answers in this time whether it serves an address; a frozen one has lost it. */
const SERVED_MS = 500;
/**
 * Servers of a cluster tell each other who serves what; until then one of them may know better than another.
 */
const SPREAD_MS = 300, PAUSE_MS = 40;
/** Longer than any who ask keep asking. */
const GRACE_MS = 5 * SPREAD_MS;
const GONE_MS = 100;
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

  /**
   * How long what one server knows of an address may be unknown to another; there may be one server alone.
   */
  get #spreadMs(): number {
    return this.#link.nc.info?.cluster ? SPREAD_MS : 0;
  }

  async request(address: string, body: Uint8Array, options: LogWait): Promise<Uint8Array<ArrayBuffer>> {
    const subject = this.#names.askPrefix + address, { nc } = this.#link;
    // One attempt takes all the time there is, since a second one would be a second request.
    const timeout = Math.min((options.timeoutMs ?? LOG_TIMEOUT_MS) + SERVED_MS, LONGEST_MS);
    const ask = async () => {
      for (const until = performance.now() + this.#spreadMs;;) {
        try {
          const reply = await nc.request(subject, body, { timeout });
          if (reply.headers?.get(ASIDE) !== IS_GONE) return reply;
        } catch (error) {
          if (failureOf(this.#link.packages, error) !== "unsent") throw error;
        }
        if (performance.now() >= until) {
          throw new LogError("request", "unreachable", `nobody serves ${address}`);
        }
        await sleep(PAUSE_MS);
      }
    };
    const reply = await this.#link.call("request", options, "unsent", ask);
    const aside = reply.headers?.get(ASIDE) ?? "";
    if (aside.startsWith(TOO_LARGE)) {
      throw new LogError(
        "request",
        "refused",
        `reply has ${aside.slice(TOO_LARGE.length + 1)} bytes, expected ${this.#largest} at most`,
      );
    }
    return new Uint8Array(reply.data);
  }

  async serve(address: string, handler: Handler): Promise<AsyncDisposable> {
    const subject = this.#names.askPrefix + address, { nc } = this.#link;
    if (await this.#isServed(subject)) {
      throw new LogError("serve", "refused", `address ${address} is served, expected one that nobody serves`);
    }
    let fail: (error: Error) => void = () => {}, isServing = true;
    const failed = new Promise<never>((_, reject) => fail = reject);
    failed.catch(() => {});
    const subscription = nc.subscribe(subject, {
      callback: (error, message) => {
        if (error) fail(error);
        else if (isServing) this.#answer(message, handler);
        else this.#sayGone(message);
      },
    });
    // The server has the subscription when it has answered what was sent after it, and a refusal comes before
    // that.
    await this.#link.call("serve", {}, "always", () => Promise.race([nc.flush(), failed]));
    return {
      [Symbol.asyncDispose]: async () => {
        isServing = false;
        // Other servers still send here for a moment, and would leave those who ask without a word.
        if (this.#spreadMs > 0) this.#unsubscribeLater(subscription);
        else subscription.unsubscribe();
        if (!nc.isClosed()) await nc.flush().catch(() => {});
      },
    };
  }

  #unsubscribeLater(subscription: Core.Subscription): void {
    const { closing } = this.#link, end = () => clearTimeout(timer);
    const timer = setTimeout(() => {
      closing.removeEventListener("abort", end);
      subscription.unsubscribe();
    }, GRACE_MS);
    closing.addEventListener("abort", end);
  }

  /** Whether somebody else serves an address. */
  async #isServed(subject: string): Promise<boolean> {
    const { nc, packages } = this.#link;
    const headers = packages.core.headers();
    headers.set(ASIDE, IS_SERVED);
    return await this.#link.call("serve", {}, "unsent", async () => {
      for (const until = performance.now() + this.#spreadMs;;) {
        try {
          const reply = await nc.request(subject, new Uint8Array(0), { timeout: SERVED_MS, headers });
          if (reply.headers?.get(ASIDE) !== IS_GONE) return true;
        } catch (error) {
          const failure = failureOf(packages, error);
          if (failure === "refused") throw error;
          // Somebody who does not answer has lost the address.
          if (failure !== "unsent") return false;
        }
        if (performance.now() >= until) return false;
        await sleep(PAUSE_MS);
      }
    });
  }

  /** Later than whoever serves the address now would answer, since the first answer counts. */
  async #sayGone(message: Core.Msg): Promise<void> {
    await sleep(GONE_MS);
    if (!this.#link.nc.isClosed()) this.#say(message, IS_GONE);
  }

  /** Answers beside what was asked. */
  #say(message: Core.Msg, word: string): void {
    const headers = this.#link.packages.core.headers();
    headers.set(ASIDE, word);
    message.respond(new Uint8Array(0), { headers });
  }

  async #answer(message: Core.Msg, handler: Handler): Promise<void> {
    if (message.headers?.get(ASIDE) === IS_SERVED) return this.#say(message, IS_SERVED);
    try {
      const reply = await handler(new Uint8Array(message.data));
      if (reply.length <= this.#largest) message.respond(reply);
      else this.#say(message, `${TOO_LARGE} ${reply.length}`);
    } catch {
      // A handler that throws gives no answer, nor does a closed connection.
    }
  }
}
