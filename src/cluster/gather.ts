/**
 * A question to all partitions: who is asked, who is asked next, and when it is enough.
 *
 * A partition's question goes to the replica that answered fastest lately. When it takes longer than usual,
 * another replica is asked, too, and the first answer counts. A host that fails is asked last for a while.
 *
 * Invariant: the answers are of all partitions or the call fails; two answers at the same sequence must have
 * the same chain.
 */

import { isSameHash } from "./batch.ts";
import { Changes } from "./changes.ts";
import type { Clock } from "./clock.ts";
import { ClusterError, partitionsText } from "./cluster_error.ts";
import { pause } from "./deadline.ts";
import type { LogSession } from "./log.ts";
import { hostKey, type Members } from "./members.ts";
import {
  decodeReply,
  encodeRequest,
  type PartitionAnswer,
  type PartitionReply,
  type Question,
} from "./messages.ts";

const QUARANTINE_MS = 5000, AGAIN_MS = 20;
const LEAST_HEDGE_MS = 10, MOST_HEDGE_MS = 1000, FIRST_LATENCY_MS = 25;
/** A request counts as lost after this many times the usual latency, and is sent again. */
const LOST = 5;
const NETWORK_MS = 250;
/** Chains that are remembered of a partition. */
const REMEMBERED = 64;

/** A partition that is asked, and the records that its answer must include. */
export interface Wanted {
  readonly partition: number;
  readonly sequence: number;
  readonly querySequence: number;
}

/** The limits of a question to partitions. */
export interface AskHow {
  /** When it gives up, by the clock. */
  readonly until: number;
  readonly signal: AbortSignal;
  /** Whether hosts wait for the records that are wanted; true unless given. */
  readonly waits?: boolean;
  /** Partitions that one request may be about; all unless given. */
  readonly most?: number;
}

/** An answer that a client has. */
export interface GatheredAnswer extends PartitionAnswer {
  /**
   * It includes every record that came before this time of the client's clock: the age that the host told, before the
   * question was sent, since nobody knows when in between the host made the answer.
   */
  readonly currentAt: number;
}

/** How a gathering ended. */
export interface Gathered {
  readonly answers: ReadonlyMap<number, GatheredAnswer>;
  /** Partitions without an answer, with the last reason. */
  readonly missing: ReadonlyMap<number, string>;
  /** Whether one of them is damaged, or full. */
  readonly fault: "missing" | "damaged" | "full";
}

/** The experience with a host. */
interface HostRecord {
  latency: number;
  quarantinedUntil: number;
}

/** The state of a partition's question. */
interface Asked {
  readonly wanted: Wanted;
  /** Hosts that were asked and have not answered, and since when. */
  readonly open: Map<string, number>;
  /** Hosts that gave no answer, and until when they are not asked again. */
  readonly refused: Map<string, number>;
  sentAt: number;
  why: string;
  fault: "missing" | "damaged" | "full";
}

/** A question that is asked. */
interface Gathering {
  readonly operation: string;
  readonly question: Question;
  /** Partitions without an answer. */
  readonly asked: Map<number, Asked>;
  readonly answers: Map<number, GatheredAnswer>;
  /** Told when a request has ended. */
  readonly arrived: Changes;
  /** Ends all requests. */
  readonly over: AbortSignal;
  /** A partition of which two replicas differ. */
  conflict: number | null;
}

/** Counts for `status()`. */
export interface GatherCounts {
  requests: number;
  hedges: number;
  failures: number;
}

/** Asks hosts. */
export class Gatherer {
  /** Counts since the connection was made. */
  readonly counts: GatherCounts = { requests: 0, hedges: 0, failures: 0 };
  readonly #session: LogSession;
  readonly #clock: Clock;
  readonly #members: Members;
  readonly #hosts = new Map<string, HostRecord>();
  readonly #chains = new Map<number, Map<number, Uint8Array>>();

  constructor(session: LogSession, clock: Clock, members: Members) {
    this.#session = session;
    this.#clock = clock;
    this.#members = members;
  }

  /** Milliseconds after which a host's question is asked of another one, too. */
  hedgeMs(name: string): number {
    const latency = this.#hosts.get(name)?.latency ?? FIRST_LATENCY_MS;
    return Math.max(LEAST_HEDGE_MS, Math.min(MOST_HEDGE_MS, 4 * latency));
  }

  /** Asks until every partition has answered, the time is over, or the signal is aborted. */
  async ask(
    operation: string,
    question: Question,
    wanted: readonly Wanted[],
    { until, signal, waits = true, most = Infinity }: AskHow,
  ): Promise<Gathered> {
    const over = new AbortController(), end = () => over.abort("over");
    const gathering: Gathering = {
      ...{ operation, question, answers: new Map(), arrived: new Changes(), over: over.signal },
      asked: new Map(wanted.map((one): [number, Asked] => [one.partition, {
        ...{ wanted: one, open: new Map(), refused: new Map(), sentAt: -Infinity },
        ...{ why: "no host answers for it", fault: "missing" },
      }])),
      conflict: null,
    };
    const { asked, answers, arrived } = gathering;
    signal.addEventListener("abort", end);
    try {
      while (asked.size > 0 && !signal.aborted) {
        const now = this.#clock.now();
        if (now >= until) break;
        for (const [name, all] of this.#choose(asked, now)) {
          for (let at = 0; at < all.length; at += most) {
            this.#send(gathering, name, all.slice(at, at + most), waits ? until - now : 0);
          }
        }
        await pause(this.#clock, Math.min(until - now, this.#nextLook(asked, now)), [
          arrived,
          this.#members.changes,
        ], signal);
        const { conflict } = gathering;
        if (conflict === null) continue;
        throw new ClusterError(operation, "damaged", `replicas of partition ${conflict} differ`, [conflict]);
      }
    } finally {
      signal.removeEventListener("abort", end);
      over.abort("over");
    }
    const left = [...asked.values()];
    return {
      answers,
      missing: new Map(left.map(({ wanted, why }) => [wanted.partition, why])),
      fault: left.find(({ fault }) => fault !== "missing")?.fault ?? "missing",
    };
  }

  /** The error of a gathering that lacks partitions. */
  static failure(operation: string, { missing, fault }: Gathered): ClusterError {
    const partitions = [...missing.keys()].sort((a, b) => a - b);
    const reason = missing.get(partitions[0]) ?? "";
    return new ClusterError(
      operation,
      fault,
      `${partitionsText(partitions)} gave no answer (${reason})`,
      partitions,
    );
  }

  /** Whom to ask now, with the partitions of each. */
  #choose(asked: ReadonlyMap<number, Asked>, now: number): Map<string, Asked[]> {
    const groups = new Map<string, Asked[]>(), alive = this.#members.alive();
    for (const one of asked.values()) {
      // A question to a host that is gone goes to another one.
      for (const name of one.open.keys()) if (!this.#members.get(name)) one.open.delete(name);
      const waited = now - one.sentAt, [first] = one.open.keys();
      const isHedge = first !== undefined;
      if (isHedge && waited < this.hedgeMs(first)) continue;
      const isLost = isHedge && waited >= Math.max(NETWORK_MS, LOST * this.hedgeMs(first));
      const name = this.#best(alive, one, now, isLost);
      if (name === null) continue;
      if (isHedge) this.counts.hedges++;
      one.open.set(name, now);
      one.sentAt = now;
      const group = groups.get(name);
      if (group) group.push(one);
      else groups.set(name, [one]);
    }
    return groups;
  }

  /** The replica to ask next; null if there is none. */
  #best(alive: ReturnType<Members["alive"]>, one: Asked, now: number, isLost: boolean): string | null {
    let best: string | null = null, least = Infinity;
    for (const { name, partitions } of alive) {
      const report = partitions.get(one.wanted.partition);
      if (!report || (one.open.has(name) && !isLost) || now < (one.refused.get(name) ?? -Infinity)) continue;
      if (report.phase === "damaged") {
        one.fault = "damaged";
        one.why = `host ${name} says that it is damaged`;
      }
      if (report.phase !== "ready") continue;
      const record = this.#hosts.get(name);
      const penalty = now < (record?.quarantinedUntil ?? -Infinity) ? 1e6 : 0;
      const price = (record?.latency ?? FIRST_LATENCY_MS) + penalty + (one.open.has(name) ? 1e3 : 0);
      if (price < least) [best, least] = [name, price];
    }
    return best;
  }

  /** When to look again: at the next hedge, or when a refused host may be asked again. */
  #nextLook(asked: ReadonlyMap<number, Asked>, now: number): number {
    let next = 100;
    for (const { open, sentAt, refused } of asked.values()) {
      const [first] = open.keys();
      if (first !== undefined) {
        const hedge = sentAt + this.hedgeMs(first) - now;
        next = Math.min(next, hedge > 0 ? hedge : Math.max(NETWORK_MS / 5, LEAST_HEDGE_MS));
      }
      for (const until of refused.values()) if (until > now) next = Math.min(next, until - now);
    }
    return Math.max(1, next);
  }

  /**
   * Sends a request about some partitions to a host, which waits for the records that are wanted, and takes
   * its reply.
   */
  async #send(
    gathering: Gathering,
    name: string,
    group: readonly Asked[],
    waitMs: number,
  ): Promise<void> {
    const { operation, question, arrived, over } = gathering, sentAt = this.#clock.now();
    this.counts.requests++;
    try {
      const body = encodeRequest({
        ...{ question, waitMs },
        querySequence: Math.max(...group.map(({ wanted }) => wanted.querySequence)),
        partitions: group.map(({ wanted: { partition, sequence } }) => ({ partition, sequence })),
      });
      const reply = await this.#session.request(hostKey(name), body, {
        ...{ timeoutMs: waitMs + NETWORK_MS, signal: over },
      });
      const replies = decodeReply(reply);
      // The time of a host that had to wait for a record does not show how fast it is.
      this.#noteLatency(name, Math.min(this.#clock.now() - sentAt, MOST_HEDGE_MS));
      if (over.aborted) return;
      for (const one of group) {
        one.open.delete(name);
        const found = replies.find(({ partition }) => partition === one.wanted.partition) ?? replies[0];
        this.#take(gathering, name, one, found && { ...found, sentAt });
      }
    } catch (error) {
      if (over.aborted) return;
      this.counts.failures++;
      this.#record(name).quarantinedUntil = this.#clock.now() + QUARANTINE_MS;
      const words = error instanceof Error ? error.message : String(error);
      for (const one of group) {
        one.open.delete(name);
        one.refused.set(name, this.#clock.now() + AGAIN_MS);
        one.why = `${operation} failed at host ${name}: ${words}`;
      }
    } finally {
      arrived.tell();
    }
  }

  #take(
    gathering: Gathering,
    name: string,
    one: Asked,
    reply: PartitionReply & { readonly sentAt: number } | undefined,
  ): void {
    const { asked, answers } = gathering, { partition, sequence, querySequence } = one.wanted;
    if (reply?.status === "ok" && reply.partition === partition) {
      if (!this.#isSameChain(reply)) gathering.conflict = partition;
      if (!asked.has(partition)) return;
      if (reply.sequence >= sequence && reply.querySequence >= querySequence) {
        answers.set(partition, { ...reply, currentAt: reply.sentAt - reply.age });
        asked.delete(partition);
        return;
      }
    }
    one.refused.set(name, this.#clock.now() + AGAIN_MS);
    if (reply === undefined || reply.status === "ok") {
      one.why = `host ${name} did not answer what was asked`;
      return;
    }
    one.why = `host ${name}: ${reply.why}`;
    one.fault = reply.status === "damaged" || reply.status === "full" ? reply.status : "missing";
  }

  /** Whether a replica has the same chain as others had that were at the same record. */
  #isSameChain({ partition, sequence, chain }: PartitionAnswer): boolean {
    let known = this.#chains.get(partition);
    if (!known) this.#chains.set(partition, known = new Map());
    const before = known.get(sequence);
    known.set(sequence, chain);
    if (known.size > REMEMBERED) {
      for (const oldest of known.keys()) {
        known.delete(oldest);
        break;
      }
    }
    return !before || isSameHash(before, chain);
  }

  #noteLatency(name: string, ms: number): void {
    const record = this.#record(name);
    record.latency += (ms - record.latency) / 8;
    record.quarantinedUntil = -Infinity;
  }

  #record(name: string): HostRecord {
    let record = this.#hosts.get(name);
    if (!record) this.#hosts.set(name, record = { latency: FIRST_LATENCY_MS, quarantinedUntil: -Infinity });
    return record;
  }
}
