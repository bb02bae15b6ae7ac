/**
 * The answers of a client: exact ones from hosts, and rows that were given before, where the caller takes
 * those.
 */

import { shownMatrix } from "../display/shown_matrix.ts";
import { outputColumns } from "../numerics/head_layout.ts";
import { Asker, type AskerParts } from "./asker.ts";
import type { ClusterKey, ClusterOutput, StoredKey } from "./cluster_answers.ts";
import { certifiedRows } from "./drift_questions.ts";
import type { GatherCounts } from "./gather.ts";
import { type Heaviest, heaviestKeys, standingRows, storedKeys } from "./key_questions.ts";
import { joinRows, type KeptRow, KeptRows } from "./kept_rows.ts";
import type { CheckedRead, PassingRows } from "./memory_options.ts";
import {
  askStates,
  type MergedStates,
  ofPassing,
  ofStanding,
  type StatesQuestion,
} from "./state_questions.ts";
import type { PlacedRow } from "./messages.ts";
import type { ClusterToken } from "./token.ts";

/** Reads whose times are kept. */
const TIMED_READS = 1024;

/** The limits within which a row that was given before may be given again. */
export interface PeekLimits {
  /** Milliseconds. */
  readonly maxAge: number;
  /** The largest distance from exact; null where age alone counts. */
  readonly maxError: number | null;
}

/** Answers for a client. */
export class ClusterReader {
  readonly #asker: Asker;
  readonly #kept = new KeptRows();
  readonly #readMs: number[] = [];
  #reads = 0;

  constructor(parts: AskerParts) {
    this.#asker = new Asker(parts);
  }

  /** Calls that were answered. */
  get reads(): number {
    return this.#reads;
  }

  /** Requests to hosts. */
  get counts(): Readonly<GatherCounts> {
    return this.#asker.counts;
  }

  /** Milliseconds of the last reads, sorted. */
  get readMs(): Float64Array<ArrayBuffer> {
    return Float64Array.from(this.#readMs).sort();
  }

  /** The records that every answer includes. */
  get known(): ClusterToken {
    return this.#asker.known;
  }

  /** Notes what was acknowledged; queries that were set anew are not given again. */
  note(token: ClusterToken, queries: readonly string[] = []): void {
    this.#asker.note(token);
    for (const id of queries) this.#kept.drop(id);
  }

  /** As `note`, of a move of all rows of a range, so that any query may be another. */
  noteMoved(token: ClusterToken): void {
    this.#asker.note(token);
    this.#kept.clear();
  }

  /** Attention of standing queries. */
  async read(operation: string, ids: readonly string[], checked: CheckedRead): Promise<ClusterOutput> {
    return this.#toOutput(await this.#states(operation, ofStanding(ids), checked, true), ids);
  }

  /** Natural log-sum-exps of standing queries. */
  async logSumExp(
    operation: string,
    ids: readonly string[],
    checked: CheckedRead,
  ): Promise<Float64Array<ArrayBuffer>> {
    return (await this.#states(operation, ofStanding(ids), checked, true)).merged.logSumExp;
  }

  /** Attention of passing queries. */
  async attend(
    operation: string,
    passing: PassingRows,
    checked: CheckedRead,
  ): Promise<ClusterOutput> {
    return this.#toOutput(await this.#states(operation, ofPassing(passing), checked, true));
  }

  /**
   * Rows that were given before, where they are young enough or near enough; other rows come from hosts,
   * which wait for nothing.
   */
  async peek(
    operation: string,
    ids: readonly string[],
    { maxAge, maxError }: PeekLimits,
    checked: CheckedRead,
  ): Promise<ClusterOutput> {
    const { clock } = this.#asker.parts, now = clock.now();
    const rows = new Map<string, KeptRow>(), old = new Map<string, KeptRow>();
    for (const id of ids) {
      const young = this.#kept.get(id, now, maxAge), any = this.#kept.any(id);
      if (young) rows.set(id, young);
      else if (any && maxError !== null) old.set(id, any);
    }
    if (maxError !== null && old.size > 0) {
      const certified = await certifiedRows(this.#asker, operation, old, maxError, checked.timeoutMs);
      for (const [id, row] of certified) rows.set(id, row);
    }
    const asked = [...new Set(ids.filter((id) => !rows.has(id)))];
    const fresh = asked.length > 0 || ids.length === 0
      ? this.#toOutput(await this.#states(operation, ofStanding(asked), checked, false), asked)
      : null;
    return joinRows(ids, rows, asked, fresh, {
      columns: this.#columns,
      now: clock.now(),
      newestOf: (partition) => this.#asker.newestOf(partition),
    });
  }

  /** The heaviest keys of a head of a standing query. */
  async heaviest(operation: string, heaviest: Heaviest, checked: CheckedRead): Promise<ClusterKey[]> {
    return await heaviestKeys(this.#asker, operation, heaviest, checked);
  }

  /** Keys with their values. */
  async storedKeys(
    operation: string,
    ids: readonly string[],
    checked: CheckedRead,
  ): Promise<(StoredKey | null)[]> {
    return await storedKeys(this.#asker, operation, ids, checked);
  }

  /** Rows of standing queries, with their positions. */
  async standingRows(
    operation: string,
    ids: readonly string[],
    checked: CheckedRead,
  ): Promise<(PlacedRow | null)[]> {
    return await standingRows(this.#asker, operation, ids, checked);
  }

  get #columns(): number {
    return outputColumns(this.#asker.parts.config.scoring.layout);
  }

  async #states(
    operation: string,
    question: StatesQuestion,
    checked: CheckedRead,
    waits: boolean,
  ): Promise<MergedStates> {
    const { clock } = this.#asker.parts, since = clock.now();
    const states = await askStates(this.#asker, operation, question, checked, waits);
    this.#reads++;
    this.#readMs.push(clock.now() - since);
    if (this.#readMs.length > TIMED_READS) this.#readMs.shift();
    return states;
  }

  /** The answer to a caller; the rows of `ids` are kept for `peek`. */
  #toOutput(
    { merged: { output, bounds }, places, at, missing, versions }: MergedStates,
    ids: readonly string[] = [],
  ): ClusterOutput {
    const columns = this.#columns;
    if (missing.length === 0) {
      ids.forEach((id, row) => {
        const data = output.slice(row * columns, (row + 1) * columns);
        this.#kept.set(id, { data, bound: bounds[row], version: versions[row], places, at });
      });
    }
    return { output: shownMatrix(output, [bounds.length, columns]), bounds, partitions: places, missing };
  }
}
