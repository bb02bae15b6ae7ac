/**
 * The hosts that are there, by their heartbeats: values `host.NAME` that each host writes once a second.
 *
 * Invariant: a host counts as alive by the reader's own clock alone, from the moment when the reader saw its
 * value change.
 */

import { isCount } from "../base/lists.ts";
import { ByteReader, ByteWriter } from "../durable/byte_buffer.ts";
import { HASH_BYTES, NO_HASH } from "./batch.ts";
import type { Clock } from "./clock.ts";
import { Changes } from "./changes.ts";
import { Damage } from "./cluster_error.ts";
import { fromHex, toHex } from "./json_value.ts";
import { LogError, type LogSession, type LogValue } from "./log.ts";

/** Milliseconds between heartbeats, and after how many without one a host counts as dead. */
export const BEAT_MS = 1000, DEAD_MS = 3000;
const PREFIX = "host.";
const RETRY_MS = 200;

/** How far a host is with a partition: it catches up, answers, or refuses to. */
export type Phase = "loading" | "ready" | "damaged";
const PHASES: readonly Phase[] = ["loading", "ready", "damaged"];

/** The entry of one subject in a heartbeat. */
export interface SubjectReport {
  readonly phase: Phase;
  readonly sequence: number;
  /** The chain behind that record, in hexadecimal digits. */
  readonly chain: string;
  readonly keys: number;
  readonly bytes: number;
  /** Bytes of records since the newest snapshot of the log. */
  readonly tail: number;
}

/** The facts that a host gives of itself. */
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

/**
 * Writes a report: text name, u32 1 if it takes any partition + 2 if it is leaving, f64 beat, the report of
 * the queries, u32 count, count × (u32 partition, its report); a report is u32 phase, f64 sequence, 16 chain,
 * f64 keys, f64 bytes. One of 1,024 partitions fits into a value of the log.
 */
export function encodeReport(report: HostReport): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(), { name, takesAny, isLeaving, beat, partitions, queries } = report;
  const write = ({ phase, sequence, chain, keys, bytes, tail }: SubjectReport) => {
    out.u32(PHASES.indexOf(phase));
    out.f64(sequence);
    out.raw(fromHex(chain, HASH_BYTES) ?? NO_HASH);
    for (const number of [keys, bytes, tail]) out.f64(number);
  };
  out.text(name);
  out.u32((takesAny ? 1 : 0) + (isLeaving ? 2 : 0));
  out.f64(beat);
  write(queries);
  out.u32(partitions.size);
  for (const [partition, subject] of partitions) {
    out.u32(partition);
    write(subject);
  }
  return out.view().slice();
}

/** Reads a report; null if it is none. */
export function decodeReport({ key, value }: LogValue): HostReport | null {
  try {
    if (value === null) return null;
    const reader = new ByteReader(value), name = reader.text(), flags = reader.u32();
    const beat = counted(reader.f64()), queries = readSubject(reader);
    const partitions = new Map<number, SubjectReport>();
    for (let left = reader.u32(); left > 0; left--) partitions.set(reader.u32(), readSubject(reader));
    if (hostKey(name) !== key || !reader.isDone) return null;
    return { name, beat, takesAny: flags % 2 === 1, isLeaving: flags >= 2, partitions, queries };
  } catch {
    return null;
  }
}

/** Throws where a report is none. */
function readSubject(reader: ByteReader): SubjectReport {
  const phase = PHASES[reader.u32()], sequence = counted(reader.f64());
  const chain = toHex(reader.raw(HASH_BYTES)), keys = counted(reader.f64());
  const bytes = counted(reader.f64()), tail = counted(reader.f64());
  if (phase === undefined) throw new Damage("heartbeat has a phase that is not known");
  return { phase, sequence, chain, keys, bytes, tail };
}

function counted(number: number): number {
  if (isCount(number)) return number;
  throw new Damage(`heartbeat has ${number}, expected a whole number`);
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
