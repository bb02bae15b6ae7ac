/**
 * A connection to the servers, and calls over it that are repeated while they may be.
 *
 * Invariant: a call ends with its answer, or with a `LogError` that says whether it may have happened, within
 * its time; after `close` every call, also one in flight, ends with "closed".
 */

import { Changes } from "../changes.ts";
import { LOG_TIMEOUT_MS, LogError, type LogWait } from "../log.ts";
import { deadline } from "../memory_log.ts";
import { ConnectionLost, failureOf, mayBeWritten, type NatsFailure, toLogError } from "./nats_errors.ts";
import type { CheckedNatsOptions, NatsAuth } from "./nats_options.ts";
import { type Core, type JetStream, loadNats, type NatsPackages } from "./packages.ts";

/**
 * How long one attempt of a call waits; the same message id makes an append that is sent twice one record.
 */
const ATTEMPT_MS = 2000;
const CONNECT_MS = 4000, RECONNECT_MS = 200;
/** A server that is frozen is noticed by three pings that it does not answer. */
const PING_MS = 2000, PINGS_OUT = 2;
const FIRST_PAUSE_MS = 20, LONGEST_PAUSE_MS = 400;

/** Whether a call may be sent again after no answer came. */
export type Repeat = "always" | "unsent";

/** A connection that comes back by itself. */
export class NatsLink {
  readonly packages: NatsPackages;
  readonly nc: Core.NatsConnection;
  readonly js: JetStream.JetStreamClient;
  readonly jsm: JetStream.JetStreamManager;
  /** Wakes whoever waits for the connection to be lost, made again, or closed. */
  readonly changes = new Changes();
  readonly #closing = new AbortController();
  /** Rejects the attempts that wait for an answer over this connection. */
  readonly #inFlight = new Set<(error: ConnectionLost) => void>();
  #isUp = true;
  #generation = 0;
  #fault: LogError | null = null;
  /** Runs before anything is written over a new connection. */
  #check: (() => Promise<void>) | null = null;
  #checking: Promise<void> | null = null;

  private constructor(packages: NatsPackages, nc: Core.NatsConnection, jsm: JetStream.JetStreamManager) {
    this.packages = packages;
    this.nc = nc;
    this.js = packages.jetstream.jetstream(nc, { timeout: ATTEMPT_MS, checkAPI: false });
    this.jsm = jsm;
    this.#attend();
  }

  /** Connects to the first server that answers. */
  static async open(
    operation: string,
    options: CheckedNatsOptions,
    auth: NatsAuth | null,
    inboxPrefix: string,
  ): Promise<NatsLink> {
    const packages = await loadNats();
    try {
      const nc = await connect(packages, options, auth, inboxPrefix);
      const asked = { timeout: ATTEMPT_MS, checkAPI: false };
      return new NatsLink(packages, nc, await packages.jetstream.jetstreamManager(nc, asked));
    } catch (cause) {
      if (cause instanceof LogError) throw cause;
      const where = options.servers.join(", ");
      const said = cause instanceof Error ? cause.message : String(cause);
      const isRefused = failureOf(packages, cause) === "refused" || /\bTLS\b|certificate/.test(said);
      const detail = isRefused
        ? `${where} refused the connection: ${said}`
        : `no server at ${where}: ${said}`;
      throw new LogError(operation, isRefused ? "refused" : "unreachable", detail, { cause });
    }
  }

  /** The number of connections made after the first. */
  get generation(): number {
    return this.#generation;
  }

  /** Ends with the session. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Sets what must hold before a write goes over a new connection. */
  checkBeforeWrites(check: () => Promise<void>): void {
    this.#check = check;
  }

  /** Throws where the session is closed or has failed for good. */
  checkOpen(operation: string): void {
    if (this.#closing.signal.aborted) throw new LogError(operation, "closed", "the session is closed");
    if (this.#fault) {
      throw new LogError(operation, this.#fault.reason, said(this.#fault), { cause: this.#fault });
    }
  }

  /** Fails all calls from here on. */
  fail(fault: LogError): void {
    this.#fault ??= fault;
    this.changes.tell();
  }

  /**
   * Calls `act`, and again while its failure and `repeat` allow it and there is time. `act` gets the
   * milliseconds that it may take.
   *
   * @throws {LogError} As the failure says, "timeout", or "closed".
   */
  async call<T>(
    operation: string,
    wait: LogWait,
    repeat: Repeat,
    act: (ms: number) => Promise<T>,
    isWrite = false,
  ): Promise<T> {
    this.checkOpen(operation);
    wait.signal?.throwIfAborted();
    const { timeoutMs = LOG_TIMEOUT_MS, signal } = wait;
    const until = performance.now() + timeoutMs;
    const stop = signal ? AbortSignal.any([signal, this.closing]) : this.closing;
    const late = deadline(operation, timeoutMs, stop);
    let failure: NatsFailure | null = null, cause: unknown = null;
    try {
      for (let pause = FIRST_PAUSE_MS;; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
        try {
          await Promise.race([this.#ready(isWrite), late.passed]);
          this.checkOpen(operation);
          const ms = Math.max(1, Math.min(ATTEMPT_MS, until - performance.now()));
          return await Promise.race([this.#whileUp(act(ms)), late.passed]);
        } catch (error) {
          const mayHaveHappened = isWrite && failure === "unknown";
          if (mayHaveHappened && error instanceof LogError && error.reason === "refused") {
            throw toLogError(operation, "unknown", error);
          }
          if (this.closing.aborted || signal?.aborted || error instanceof LogError) throw error;
          const isOpen = isWrite && mayBeWritten(this.packages, error);
          const found = isOpen ? "unknown" : failureOf(this.packages, error);
          // An attempt without an answer may have happened, whatever later ones say.
          failure = failure === "unknown" ? failure : found;
          cause = error;
          const mayRepeat = found === "unsent" || (found === "unknown" && repeat === "always");
          if (!mayRepeat || performance.now() + pause >= until) throw toLogError(operation, failure, error);
        }
        await Promise.race([sleep(pause), late.passed]);
      }
    } catch (error) {
      if (this.closing.aborted) throw new LogError(operation, "closed", "the session is closed");
      const isLate = error instanceof LogError && error.reason === "timeout" && error.cause === undefined;
      if (isLate && failure === null && !this.#isUp) {
        throw new LogError(operation, "unreachable", "the connection to the servers is lost", { cause });
      }
      throw isLate && failure !== null ? toLogError(operation, failure, cause) : error;
    } finally {
      late.cancel();
    }
  }

  /** Resolves when there is a connection, and for writes when what must hold of it was checked. */
  async #ready(isWrite: boolean): Promise<void> {
    while (!this.#isUp && !this.closing.aborted && !this.#fault) await this.changes.next(this.closing);
    if (isWrite && this.#checking) await this.#checking;
  }

  /**
   * The answer, or {@link ConnectionLost} as soon as none can come. Nothing of it stays behind: a connection
   * lasts for long.
   */
  #whileUp<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#inFlight.add(reject);
      answer.then(resolve, reject).finally(() => this.#inFlight.delete(reject));
    });
  }

  #lose(detail: string): void {
    for (const reject of this.#inFlight) reject(new ConnectionLost(detail));
    this.#inFlight.clear();
  }

  /** Closes the connection; whatever still waits ends with "closed". */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new LogError("close", "closed", "the session is closed"));
    this.changes.close();
    this.#lose("the session is closed");
    await this.nc.close();
  }

  /** Follows what happens to the connection. */
  async #attend(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === "disconnect" && this.#isUp) {
        this.#isUp = false;
        this.#lose("the connection was lost before the answer came");
        this.changes.tell();
      } else if (status.type === "reconnect") {
        this.#isUp = true;
        this.#generation++;
        if (this.#check) this.#checking = this.#recheck(this.#check, this.#generation);
        this.changes.tell();
      }
    }
    if (this.closing.aborted) return;
    const cause = await this.nc.closed();
    const detail = `the servers refuse the session: ${cause instanceof Error ? cause.message : "closed"}`;
    this.fail(new LogError("connect", "refused", detail));
  }

  /** Asks again, until there is an answer, whether the servers are what was asked for. */
  async #recheck(check: () => Promise<void>, generation: number): Promise<void> {
    while (!this.closing.aborted && this.#generation === generation) {
      try {
        return await check();
      } catch (error) {
        if (error instanceof LogError && !error.isPassing) return this.fail(error);
        await Promise.race([sleep(LONGEST_PAUSE_MS), this.changes.next(this.closing)]);
      }
    }
  }
}

/** A connection of the client, by our transport. */
function connect(
  packages: NatsPackages,
  { servers, tls }: CheckedNatsOptions,
  auth: NatsAuth | null,
  inboxPrefix: string,
): Promise<Core.NatsConnection> {
  const { core } = packages;
  return core.NatsConnectionImpl.connect({
    servers: [...servers],
    name: "attune",
    inboxPrefix,
    authenticator: authenticatorOf(packages, auth),
    tls: tls === null ? null : { ...tls },
    timeout: CONNECT_MS,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_MS / 2,
    reconnectJitterTLS: RECONNECT_MS / 2,
    pingInterval: PING_MS,
    maxPingOut: PINGS_OUT,
    noAsyncTraces: true,
  });
}

/**
 * The login as the client wants it; a secret that can sign nothing is refused here, and not in the middle of
 * a handshake.
 */
function authenticatorOf({ core }: NatsPackages, auth: NatsAuth | null): Core.Authenticator {
  const bytes = (text: string) => new TextEncoder().encode(text);
  if (auth === null) return () => {};
  if ("user" in auth) return core.usernamePasswordAuthenticator(auth.user, auth.password);
  if ("token" in auth) return core.tokenAuthenticator(auth.token);
  try {
    const authenticator = "nkey" in auth
      ? core.nkeyAuthenticator(bytes(auth.nkey.trim()))
      : core.credsAuthenticator(bytes(auth.creds));
    authenticator("a challenge");
    return authenticator;
  } catch {
    // The cause might quote the secret.
    const what = "nkey" in auth
      ? "auth.nkey is no seed of an nkey"
      : "auth.creds is not the text of a .creds file";
    throw new LogError("open", "refused", `${what}, expected one`);
  }
}

function said(error: LogError): string {
  return error.message.replace(/^[^:]*: /, "").replace(/ \([a-z]+\)$/, "");
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
