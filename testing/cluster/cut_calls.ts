// The calls that clients of a cut network make, and the judge of their answers: attention from scratch, in float64,
// over the keys that the records of the log leave at the places that an answer names.

import { decodeBatch } from "../../src/cluster/batch.ts";
import { keySubject, partitionOf } from "../../src/cluster/cluster_config.ts";
import type { LogRecord } from "../../src/cluster/log.ts";
import type { ClusterEdit, ClusterToken, PartitionPlace } from "../../src/cluster/mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { Random } from "../random.ts";
import { errorOf, QUERIES, SHAPE } from "./memory_stream.ts";

const KEYS = SHAPE.heads * SHAPE.dim, VALUES = SHAPE.heads * SHAPE.valueDim, IDS = 60, EDITS = 6;
/** The distance from the oracle that rounding may make. */
const MOST_ERROR = 1e-7;

/** Queries that pass. */
export const CUT_PASSING: readonly Float32Array[] = new Random(92).rows(2, KEYS);

/** A call and how it ended: with a fault, or with an answer. */
export interface CutCall {
  readonly kind: "edit" | "read" | "attend" | "peek";
  readonly ms?: number;
  /** The kind of the typed error; one that begins with "untyped" is none. */
  readonly fault?: string;
  readonly detail?: string;
  /** The number of the edits, and their token. */
  readonly number?: number;
  readonly token?: ClusterToken;
  readonly output?: readonly number[];
  readonly bounds?: readonly number[];
  readonly places?: readonly PartitionPlace[];
  readonly missing?: readonly number[];
  readonly after?: ClusterToken;
}

/** The edits of a client under a number; no two rows of a run are the same. */
export function cutEdits(client: string, number: number): ClusterEdit[] {
  const random = new Random(1e6 * Number(client.slice(1)) + number);
  return Array.from({ length: EDITS }, (): ClusterEdit => {
    const id = `key ${random.below(IDS)}`;
    if (number > 0 && random.below(6) === 0) return { kind: "delete", id };
    return { kind: "set", id, key: random.row(KEYS), value: random.row(VALUES) };
  });
}

/** A record of a partition that counts. */
interface KeyRecord {
  readonly sequence: number;
  readonly edits: readonly { readonly id: string; readonly row: Float32Array | null }[];
  /** Whether a record before it is of the same batch, so that it changes nothing. */
  readonly isAgain: boolean;
}

/** Judges answers by the records of the log. */
export class CutJudge {
  readonly #records: readonly (readonly KeyRecord[])[];
  worst = 0;

  /** @param readSubject All records of a subject. */
  static async of(readSubject: (subject: string) => Promise<LogRecord[]>): Promise<CutJudge> {
    const records: KeyRecord[][] = [];
    for (let partition = 0; partition < SHAPE.partitions; partition++) {
      const done = new Set<string>();
      records.push((await readSubject(keySubject(partition))).map(({ sequence, body }): KeyRecord => {
        const { client, number, edits } = decodeBatch(body, "keys", KEYS + VALUES),
          name = `${client} ${number}`;
        const isAgain = done.has(name);
        done.add(name);
        return { sequence, edits, isAgain };
      }));
    }
    return new CutJudge(records);
  }

  private constructor(records: readonly (readonly KeyRecord[])[]) {
    this.#records = records;
  }

  /** The records that only repeat one before them. */
  get repeated(): number {
    return this.#records.flat().filter(({ isAgain }) => isAgain).length;
  }

  /** The fault of a call that was answered; null for none. */
  faultOf(client: string, call: CutCall): string | null {
    return call.kind === "edit" ? this.#faultOfEdit(client, call) : this.#faultOfAnswer(call);
  }

  #faultOfEdit(client: string, { number = -1, token }: CutCall): string | null {
    for (const edit of cutEdits(client, number)) {
      if (edit.kind === "setMask") continue;
      const partition = partitionOf(edit.id, SHAPE.partitions),
        sequence = token?.partitions[partition];
      const record = this.#records[partition].find((one) => one.sequence === sequence);
      const row = edit.kind === "set"
        ? [edit.key, edit.value].flatMap((part) => [...part as Float32Array])
        : null;
      const isThere = record?.edits.some((one) =>
        one.id === edit.id &&
        JSON.stringify(one.row && [...one.row]) === JSON.stringify(row)
      );
      if (!isThere) {
        return `edit ${number} of ${client} was acknowledged as ${sequence} of ${partition}, and is lost`;
      }
    }
    return null;
  }

  #faultOfAnswer(
    { kind, output = [], bounds = [], places = [], missing = [], after }: CutCall,
  ): string | null {
    if (places.length !== SHAPE.partitions || missing.length > 0) return `over ${places.length} partitions`;
    for (const { partition, sequence } of places) {
      const asked = after?.partitions[partition] ?? 0;
      if (sequence < asked) return `partition ${partition} is at ${sequence}, the token says ${asked}`;
    }
    const rows = [...this.#keysAt(places).values()], queries = kind === "attend" ? CUT_PASSING : QUERIES;
    const { output: expected } = referenceAttention({
      query: queries,
      key: rows.map((row) => row.subarray(0, KEYS)),
      value: rows.map((row) => row.subarray(KEYS)),
      ...{ scale: 1 / Math.sqrt(SHAPE.dim), valueDim: SHAPE.valueDim, heads: SHAPE.heads },
    });
    const error = errorOf(output, expected.flat());
    this.worst = Math.max(this.worst, error);
    if (!(error <= MOST_ERROR)) return `off by ${error}`;
    const isOutside = expected.some((row, at) => {
      return !(Math.hypot(...row.map((o, c) => o - output[at * VALUES + c])) <= bounds[at] + 1e-12);
    });
    return isOutside ? "outside of its bounds" : null;
  }

  #keysAt(places: readonly PartitionPlace[]): Map<string, Float32Array> {
    const keys = new Map<string, Float32Array>();
    for (const { partition, sequence: end } of places) {
      for (const { sequence, edits, isAgain } of this.#records[partition]) {
        if (sequence > end) break;
        if (isAgain) continue;
        for (const { id, row } of edits) {
          if (row === null) keys.delete(id);
          else keys.set(id, row);
        }
      }
    }
    return keys;
  }
}
