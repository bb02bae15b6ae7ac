/**
 * The hosts that are there, by their heartbeats: values `host.NAME` that each host writes once a second.
 *
 * Invariant: a host counts as alive by the reader's own clock alone, from the moment when the reader saw its value change.
 */

import type { Clock } from "./clock.ts";
import { isCount } from "../base/lists.ts";
import { Changes } from "./changes.ts";
import { Damage } from "./cluster_error.ts";
import { countIn, type Json, readJson, textIn, writeJson } from "./json_value.ts";
import { LogError, type LogSession, type LogValue } from "./log.ts";

/** Milliseconds between heartbeats, and after how many without one a host counts as dead. */
export const BEAT_MS = 1000, DEAD_MS = 3000;
const PREFIX = "host.";
const RETRY_MS = 200;

/** How far a host is with a partition: it catches up, answers, or refuses to. */
export type Phase = "loading" | "ready" | "damaged";
const PHASES: readonly Phase[] = ["loading", "ready", "damaged"];

/** What a host says of one subject. */
export interface SubjectReport {
  readonly phase: Phase;
  readonly sequence: number;
  /** The chain behind that record, in hexadecimal digits. */
  readonly chain: string;
  readonly keys: number;
  readonly bytes: number;
}

/** What a host says of itself. */
export interface HostReport {
  readonly name: string;
  /** Whether it takes any partition that the plan gives it. */
  readonly takesAny: boolean;
  /** Whether it gives its partitions away. */
  readonly isLeaving: boolean;
  /** Rises with every heartbeat. */
  readonly beat: number;
  readonly partitions: ReadonlyMap<number, SubjectReport>;
  readonly queries: SubjectReport;
}

/** The key of a host's heartbeat, which is its address, too. */
export function hostKey(name: string): string {
  return PREFIX + name;
}

/** Writes a report. */
export function encodeReport(report: HostReport): Uint8Array<ArrayBuffer> {
  const { name, takesAny, isLeaving, beat, partitions, queries } = report;
  const all = Array.from(partitions, ([partition, subject]) => [partition, ...toList(subject)]);
  return writeJson({ name, takesAny, isLeaving, beat, partitions: all, queries: toList(queries) });
}

/** Reads a report; null if it is none. */
export function decodeReport({ key, value }: LogValue): HostReport | null {
  try {
    if (value === null) return null;
    const json: Json = readJson("heartbeat", key, value);
    const name = textIn(json, "name"), beat = countIn(json, "beat");
    if (name === null || beat === null || hostKey(name) !== key || !Array.isArray(json["partitions"])) {
      return null;
    }
    const partitions = new Map<number, SubjectReport>();
    for (const [partition, ...list] of json["partitions"]) {
      if (!isCount(partition)) return null;
      partitions.set(partition, fromList(list));
    }
    const queries = fromList(json["queries"] as unknown[]);
    return {
      name,
      beat,
      takesAny: json["takesAny"] === true,
      isLeaving: json["isLeaving"] === true,
      partitions,
      queries,
    };
  } catch {
    return null;
  }
}

function toList({ phase, sequence, chain, keys, bytes }: SubjectReport): unknown[] {
  return [PHASES.indexOf(phase), sequence, chain, keys, bytes];
}

/** Throws where a list is no report. */
function fromList([phase, sequence, chain, keys, bytes]: readonly unknown[]): SubjectReport {
  const found = PHASES[Number(phase)];
  if (found === undefined || !isCount(sequence) || !isCount(keys) || !isCount(bytes)) {
    throw new Damage("heartbeat has a partition that is none");
  }
  return { phase: found, sequence, chain: String(chain), keys, bytes };
}

/** A host, and when its heartbeat was seen last. */
export interface Member {
  readonly report: HostReport;
  readonly seenAt: number;
}

/** Follows heartbeats. */
export class Members {
  /** Told after every change. */
  readonly changes = new Changes();
  readonly #session: LogSession;
  readonly #clock: Clock;
  readonly #members = new Map<string, Member>();

  constructor(session: LogSession, clock: Clock) {
    this.#session = session;
    this.#clock = clock;
  }

  /** Hosts whose heartbeat is not older than `DEAD_MS`, by name. */
  alive(): HostReport[] {
    const now = this.#clock.now();
    return [...this.#members.values()]
      .filter(({ seenAt }) => now - seenAt <= DEAD_MS)
      .map(({ report }) => report)
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** A host that is alive. */
  get(name: string): HostReport | null {
    const member = this.#members.get(name);
    return member && this.#clock.now() - member.seenAt <= DEAD_MS ? member.report : null;
  }

  /** All that were ever seen and not removed. */
  all(): Member[] {
    return [...this.#members.values()];
  }

  /** Counts every host as seen now: the reader itself was stopped, and knows nothing of them. */
  renew(): void {
    const seenAt = this.#clock.now();
    for (const [name, { report }] of this.#members) this.#members.set(name, { report, seenAt });
  }

  /** Forgets a host. */
  drop(name: string): void {
    if (this.#members.delete(name)) this.changes.tell();
  }

  /** Follows heartbeats until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const value of this.#session.watch(PREFIX, { signal })) this.#take(value);
      } catch (error) {
        if (!(error instanceof LogError) || !error.isPassing) {
          if (signal.aborted) return;
          if (error instanceof LogError && error.reason === "closed") return;
        }
        await this.#clock.sleep(RETRY_MS, signal);
      }
    }
  }

  #take(value: LogValue): void {
    const name = value.key.slice(PREFIX.length);
    const report = decodeReport(value);
    if (report === null) this.#members.delete(name);
    else this.#members.set(name, { report, seenAt: this.#clock.now() });
    this.changes.tell();
  }
}
