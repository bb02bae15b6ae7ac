// The world of a simulated cluster: one clock, a log, and nodes whose every call goes over a network that
// delays, drops, doubles and reorders, and that may be cut, frozen or killed. One seed is one run: nothing in
// here looks at a real clock.

import type { Clock } from "../../src/cluster/clock.ts";
import {
  type ClusterLog,
  LOG_TIMEOUT_MS,
  LogError,
  type LogRecord,
  type LogRole,
  type LogSession,
  type LogValue,
  type LogWait,
} from "../../src/cluster/log.ts";
import { memoryLog } from "../../src/cluster/memory_log.ts";
import { Random } from "../random.ts";

/**
 * Promises that have settled are followed so many times before time goes on; longer chains than that are not
 * in the sources.
 */
const HOPS = 80;

interface Timer {
  readonly at: number;
  readonly order: number;
  fire: (() => void) | null;
}

/** Time that goes on when nothing else is to be done. */
export class SimTime {
  #now = 0;
  #order = 0;
  readonly #timers: Timer[] = [];
  /** Timers that have fired. */
  fired = 0;

  get now(): number {
    return this.#now;
  }

  /** Calls `fire` at a time; what comes back takes that back. */
  at(at: number, fire: () => void): () => void {
    const timer: Timer = { at: Math.max(at, this.#now), order: this.#order++, fire };
    // A heap by time, then by order.
    let place = this.#timers.push(timer) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!isBefore(timer, this.#timers[above])) break;
      this.#timers[place] = this.#timers[above];
      place = above;
    }
    this.#timers[place] = timer;
    return () => timer.fire = null;
  }

  /** Lets everything happen up to a time. */
  async runTo(end: number): Promise<void> {
    await settle();
    while (this.#timers.length > 0 && this.#timers[0].at <= end) {
      const { at, fire } = this.#pop();
      if (fire === null) continue;
      this.#now = at;
      this.fired++;
      fire();
      await settle();
    }
    this.#now = end;
  }

  /** Lets everything happen until a promise settles, for `most` milliseconds at most. */
  async until<T>(promise: Promise<T>, most: number): Promise<T> {
    let isDone = false;
    promise.then(() => isDone = true, () => isDone = true);
    for (const end = this.#now + most; !isDone;) {
      await settle();
      if (isDone) break;
      if (this.#timers.length === 0 || this.#timers[0].at > end) throw new Error("nothing happens any more");
      await this.runTo(this.#timers[0].at);
    }
    return await promise;
  }

  #pop(): Timer {
    const timers = this.#timers, top = timers[0], last = timers.pop() as Timer;
    if (timers.length === 0) return top;
    let place = 0;
    for (let child = 1; child < timers.length; child = 2 * place + 1) {
      if (child + 1 < timers.length && isBefore(timers[child + 1], timers[child])) child++;
      if (!isBefore(timers[child], last)) break;
      timers[place] = timers[child];
      place = child;
    }
    timers[place] = last;
    return top;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

async function settle(): Promise<void> {
  for (let hop = 0; hop < HOPS; hop++) await null;
}

/** How bad the network is. */
export interface Weather {
  /** The share of messages that are lost. */
  readonly lost: number;
  /** The share of messages that come twice, the second time much later. */
  readonly doubled: number;
  /** The longest usual delay in milliseconds; some are ten times as long. */
  readonly delay: number;
}

export const CALM: Weather = { lost: 0, doubled: 0, delay: 2 };

/** A process of the cluster. */
export class SimNode {
  readonly name: string;
  isDead = false;
  frozenUntil = 0;
  /** Until then nothing goes between it and the log. */
  cutUntil = 0;
  /** Until then nothing goes between it and other nodes. */
  aloneUntil = 0;
  readonly served = new Map<string, Handler>();

  constructor(name: string) {
    this.name = name;
  }
}

type Handler = (body: Uint8Array<ArrayBuffer>) => Promise<Uint8Array> | Uint8Array;

/** Everything there is. */
export class SimWorld {
  readonly time = new SimTime();
  readonly random: Random;
  readonly nodes: SimNode[] = [];
  /** The log itself, behind the network. */
  readonly kept: ClusterLog = memoryLog();
  weather: Weather = CALM;
  /** The share of objects whose bytes come back altered. */
  altered = 0;
  readonly counts = { calls: 0, lost: 0, doubled: 0, frozen: 0 };
  #names = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** A new process. */
  node(kind: string): SimNode {
    const node = new SimNode(`${kind}${++this.#names}`);
    this.nodes.push(node);
    return node;
  }

  /** The clock of a node: while it is frozen nothing fires, and when it is dead nothing ever does. */
  clockOf(node: SimNode): Clock {
    return {
      now: () => this.time.now,
      sleep: (ms, signal) => {
        if (signal?.aborted) return Promise.resolve();
        return new Promise((resolve) => {
          let isOver = false;
          const end = () => {
            if (isOver) return;
            isOver = true;
            cancel();
            signal?.removeEventListener("abort", end);
            resolve();
          };
          signal?.addEventListener("abort", end);
          const cancel = this.time.at(this.time.now + ms, () => this.awake(node, end));
        });
      },
    };
  }

  /** Calls `act` when the node is not frozen; never if it is dead. */
  awake(node: SimNode, act: () => void): void {
    if (node.isDead) return;
    if (node.frozenUntil > this.time.now) {
      this.counts.frozen++;
      this.time.at(node.frozenUntil, () => this.awake(node, act));
    } else act();
  }

  /** A name that nobody has had. */
  newName = (): string => `n${(++this.#names).toString().padStart(4, "0")}`;

  delay(): number {
    const { delay } = this.weather, { random } = this;
    return random.next() < 0.03 ? random.next() * 10 * delay : random.next() * delay;
  }

  isLost(): boolean {
    const isLost = this.random.next() < this.weather.lost;
    if (isLost) this.counts.lost++;
    return isLost;
  }

  isDoubled(): boolean {
    const isDoubled = this.random.next() < this.weather.doubled;
    if (isDoubled) this.counts.doubled++;
    return isDoubled;
  }

  /** The log as a node sees it. */
  logOf(node: SimNode): ClusterLog {
    return {
      description: "simulated",
      open: async (role: LogRole) => new SimSession(this, node, await this.kept.open(role)),
    };
  }
}

/** A session over the network. */
class SimSession implements LogSession {
  readonly largestMessage = 1 << 20;
  readonly #world: SimWorld;
  readonly #node: SimNode;
  readonly #inner: LogSession;
  readonly #closing = new AbortController();

  constructor(world: SimWorld, node: SimNode, inner: LogSession) {
    this.#world = world;
    this.#node = node;
    this.#inner = inner;
  }

  append(
    subject: string,
    body: Uint8Array,
    options: LogWait & { readonly id?: string } = {},
  ): Promise<number> {
    const copy = body.slice();
    // Without the id, so that the log itself notices no record that comes twice.
    return this.#call("append", options, () => this.#inner.append(subject, copy));
  }

  async *follow(
    subject: string,
    after: number,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogRecord[]> {
    for await (const records of this.#inner.follow(subject, after, { signal: this.#until(options.signal) })) {
      // Lists are cut anywhere, and wait for the network.
      for (let at = 0; at < records.length;) {
        const count = 1 + this.#world.random.below(8);
        await this.#arrival(options.signal);
        this.#check("follow");
        if (options.signal?.aborted) return;
        yield records.slice(at, at + count);
        at += count;
      }
    }
    this.#check("follow");
  }

  lastSequence(subject: string, options: LogWait = {}): Promise<number> {
    return this.#call("lastSequence", options, () => this.#inner.lastSequence(subject));
  }

  purge(subject: string, below: number, options: LogWait = {}): Promise<void> {
    return this.#call("purge", options, () => this.#inner.purge(subject, below));
  }

  get(key: string, options: LogWait = {}): Promise<LogValue | null> {
    return this.#call("get", options, () => this.#inner.get(key));
  }

  list(prefix: string, options: LogWait = {}): Promise<LogValue[]> {
    return this.#call("list", options, () => this.#inner.list(prefix));
  }

  put(
    key: string,
    value: Uint8Array,
    options: LogWait & { readonly revision?: number; readonly isVolatile?: boolean } = {},
  ): Promise<number | null> {
    const copy = value.slice(), { revision } = options;
    return this.#call("put", options, () => {
      return this.#inner.put(key, copy, revision === undefined ? {} : { revision });
    });
  }

  remove(key: string, options: LogWait = {}): Promise<void> {
    return this.#call("remove", options, () => this.#inner.remove(key));
  }

  async *watch(prefix: string, options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<LogValue> {
    for await (const value of this.#inner.watch(prefix, { signal: this.#until(options.signal) })) {
      await this.#arrival(options.signal);
      this.#check("watch");
      if (options.signal?.aborted) return;
      yield value;
    }
    this.#check("watch");
  }

  putObject(name: string, bytes: Uint8Array, options: LogWait = {}): Promise<void> {
    const copy = bytes.slice();
    return this.#call("putObject", options, () => this.#inner.putObject(name, copy));
  }

  async getObject(name: string, options: LogWait = {}): Promise<Uint8Array<ArrayBuffer> | null> {
    const bytes = await this.#call("getObject", options, () => this.#inner.getObject(name));
    const { random, altered } = this.#world;
    if (bytes && random.next() < altered) bytes[random.below(bytes.length)] ^= 1 << random.below(8);
    return bytes;
  }

  listObjects(prefix: string, options: LogWait = {}): Promise<string[]> {
    return this.#call("listObjects", options, () => this.#inner.listObjects(prefix));
  }

  removeObject(name: string, options: LogWait = {}): Promise<void> {
    return this.#call("removeObject", options, () => this.#inner.removeObject(name));
  }

  request(address: string, body: Uint8Array, options: LogWait = {}): Promise<Uint8Array<ArrayBuffer>> {
    const world = this.#world, copy = body.slice();
    return this.#answered("request", options, (resolve, reject) => {
      const served = world.nodes.find(({ served, isDead }) => !isDead && served.has(address));
      if (!served) {
        return world.time.at(world.time.now + world.delay(), () => {
          reject(new LogError("request", "unreachable", `nobody serves ${address}`));
        });
      }
      const isApart = () => served.aloneUntil > world.time.now || this.#node.aloneUntil > world.time.now;
      const deliver = (after: number) =>
        world.time.at(world.time.now + after, () => {
          if (isApart() || world.isLost()) return;
          world.awake(served, async () => {
            const reply = await served.served.get(address)?.(copy.slice());
            if (!reply || served.isDead) return;
            world.time.at(world.time.now + world.delay(), () => {
              if (!isApart() && !world.isLost()) resolve(new Uint8Array(reply));
            });
          });
        });
      deliver(world.delay());
      if (world.isDoubled()) deliver(world.random.next() * 3000);
    });
  }

  serve(address: string, handler: Handler): Promise<AsyncDisposable> {
    this.#check("serve");
    this.#node.served.set(address, handler);
    return Promise.resolve({
      [Symbol.asyncDispose]: () => {
        this.#node.served.delete(address);
        return Promise.resolve();
      },
    });
  }

  facts(): Promise<Readonly<Record<string, string | number>>> {
    return this.#inner.facts();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#node.served.clear();
    await this.#inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A call of the log: there, what it does, and back. */
  #call<T>(operation: string, options: LogWait, act: () => Promise<T>): Promise<T> {
    const world = this.#world, isCut = () => this.#node.cutUntil > world.time.now;
    world.counts.calls++;
    return this.#answered(operation, options, (resolve, reject) => {
      const deliver = (after: number, isFirst: boolean) =>
        world.time.at(world.time.now + after, async () => {
          if (isFirst && (isCut() || world.isLost())) return;
          const back = (settle: () => void) =>
            world.time.at(world.time.now + world.delay(), () => {
              if (!isCut() && !world.isLost()) settle();
            });
          try {
            const result = await act();
            back(() => resolve(result));
          } catch (error) {
            back(() => reject(error));
          }
        });
      deliver(world.delay(), true);
      // The second copy is on its way already, so that neither a cut nor a crash of the sender keeps it back.
      if (world.isDoubled()) deliver(world.random.next() * 3000, false);
    });
  }

  /** A promise of this node: it settles while the node is awake, or runs into its time limit. */
  #answered<T>(
    operation: string,
    { timeoutMs = LOG_TIMEOUT_MS, signal }: LogWait,
    begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    const world = this.#world, node = this.#node;
    return new Promise((resolve, reject) => {
      try {
        signal?.throwIfAborted();
        this.#check(operation);
      } catch (error) {
        return reject(error);
      }
      let isOver = false;
      const end = (act: () => void) => {
        if (isOver) return;
        isOver = true;
        cancel();
        signal?.removeEventListener("abort", abort);
        this.#closing.signal.removeEventListener("abort", close);
        act();
      };
      const abort = () => end(() => reject(signal?.reason));
      const close = () => end(() => reject(new LogError(operation, "closed", "the session is closed")));
      signal?.addEventListener("abort", abort);
      this.#closing.signal.addEventListener("abort", close);
      const cancel = world.time.at(world.time.now + timeoutMs, () => {
        world.awake(
          node,
          () => end(() => reject(new LogError(operation, "timeout", `no answer in ${timeoutMs} ms`))),
        );
      });
      begin(
        (value) => world.awake(node, () => end(() => resolve(value))),
        (error) => world.awake(node, () => end(() => reject(error))),
      );
    });
  }

  /** Something of a stream comes over the network, in its order. */
  #arrival(signal: AbortSignal | undefined): Promise<void> {
    const world = this.#world, node = this.#node;
    return new Promise((resolve) => {
      const until = this.#until(signal);
      const come = () => {
        if (until.aborted) return resolve();
        if (node.cutUntil > world.time.now) return world.time.at(node.cutUntil + world.delay(), come);
        world.awake(node, resolve);
      };
      until.addEventListener("abort", () => resolve(), { once: true });
      world.time.at(world.time.now + world.delay(), come);
    });
  }

  #until(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
  }

  #check(operation: string): void {
    if (this.#closing.signal.aborted) throw new LogError(operation, "closed", "the session is closed");
  }
}
