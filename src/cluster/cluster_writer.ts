/**
 * The edits of a client on their way to the subjects of the log.
 *
 * Invariant: calls are written in the order in which they came, each to all of its subjects at once, while
 * the bytes that are not acknowledged are fewer than the client lets wait.
 */

import type { RowEdit } from "./batch.ts";
import { Changes } from "./changes.ts";
import type { Clock } from "./clock.ts";
import { type ClusterConfig, keySubject, QUERY_SUBJECT } from "./cluster_config.ts";
import { EditLine } from "./edit_line.ts";
import { placesOf } from "./exact_sums.ts";
import type { LogSession } from "./log.ts";
import type { Members } from "./members.ts";
import { SubjectWriter } from "./subject_writer.ts";
import type { ClusterToken } from "./token.ts";

/** The parts of a writer. */
interface ClusterWriterParts {
  readonly session: LogSession;
  readonly config: ClusterConfig;
  readonly clock: Clock;
  readonly members: Members;
  /** The name of the client. */
  readonly client: string;
  readonly maxUnacked: number;
  /** The end of the client. */
  readonly signal: AbortSignal;
}

/** Edits of one call: of keys by partition, and of standing queries. */
interface CallEdits {
  readonly keys: ReadonlyMap<number, readonly RowEdit[]>;
  readonly queries: readonly RowEdit[];
}

/** Writes to all subjects. */
export class ClusterWriter {
  readonly #parts: ClusterWriterParts;
  readonly #writers = new Map<string, SubjectWriter>();
  readonly #acknowledged = new Changes();
  readonly #line: EditLine;

  constructor(parts: ClusterWriterParts) {
    this.#parts = parts;
    this.#line = new EditLine(parts.clock, this.#acknowledged, () => this.bytes < parts.maxUnacked);
  }

  /** Bytes that were neither acknowledged nor given up before they were sent. */
  get bytes(): number {
    let bytes = 0;
    for (const writer of this.#writers.values()) bytes += writer.bytes;
    return bytes;
  }

  /**
   * Writes the edits of a call once there is room for it and all calls before it were written.
   *
   * @param wait Milliseconds that the call may take.
   * @returns The token of all of them, once the log has acknowledged them.
   * @throws {ClusterError} As `ClusterMemory.edit`.
   */
  async write(operation: string, wait: number, { keys, queries }: CallEdits): Promise<ClusterToken> {
    const groups: [partition: number | null, edits: readonly RowEdit[]][] = [...keys];
    if (queries.length > 0) groups.push([null, queries]);
    const written = await this.#line.write(
      operation,
      wait,
      (until) =>
        groups.map(async ([partition, edits]) => {
          return [partition, await this.#of(partition).write(operation, edits, until)] as const;
        }),
    );
    const partitions: Record<number, number> = {};
    let query = 0;
    for (const [partition, sequence] of written) {
      if (partition === null) query = sequence;
      else partitions[partition] = sequence;
    }
    return { partitions, query };
  }

  /** Waits until all edits are acknowledged or given up, and ends. */
  async close(): Promise<void> {
    await this.#line.isEmpty();
    await Promise.all([...this.#writers.values()].map((writer) => writer.close()));
    this.#acknowledged.close();
  }

  /** The writer of a partition, or of standing queries where that is null. */
  #of(partition: number | null): SubjectWriter {
    const { session, config, clock, client, members } = this.#parts;
    const subject = partition === null ? QUERY_SUBJECT : keySubject(partition);
    let writer = this.#writers.get(subject);
    if (writer) return writer;
    const known = () => {
      let most = 0;
      for (const { partitions, queries } of members.alive()) {
        const report = partition === null ? queries : partitions.get(partition);
        if (report?.phase === "ready") most = Math.max(most, report.sequence);
      }
      return most;
    };
    const kind = partition === null ? "queries" : "keys", isPlaced = placesOf(config.scoring) !== null;
    writer = new SubjectWriter({ session, clock, client, subject, kind, partition, known, isPlaced });
    this.#writers.set(subject, writer);
    this.#tellAcknowledged(writer);
    return writer;
  }

  async #tellAcknowledged(writer: SubjectWriter): Promise<void> {
    const { signal } = this.#parts;
    while (!signal.aborted) {
      await writer.acknowledged.next(signal);
      this.#acknowledged.tell();
    }
  }
}
