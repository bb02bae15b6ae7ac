/**
 * The questions of a client about rows that it was given before: whether they are still within an error of
 * exact.
 */

import type { Asker } from "./asker.ts";
import { driftBound, driftColumns } from "./drift.ts";
import type { KeptRow } from "./kept_rows.ts";
import { cutQuestion } from "./message_parts.ts";
import { decodeNumbers, textBytes } from "./messages.ts";

/**
 * The kept rows that are within an error of the exact answer over the records that hosts have now, with their
 * bounds and places for those records. A row is left out where a partition cannot tell.
 */
export async function certifiedRows(
  asker: Asker,
  operation: string,
  kept: ReadonlyMap<string, KeptRow>,
  maxError: number,
  timeoutMs: number,
): Promise<Map<string, KeptRow>> {
  const { config: { partitions, scoring }, session, clock } = asker.parts;
  const certified = new Map<string, KeptRow>(), until = clock.now() + timeoutMs;
  const rows = [...kept], columns = driftColumns(scoring.layout);
  const { ranges, most } = cutQuestion(session.largestMessage, partitions, {
    count: rows.length,
    requestBytes: (at) => textBytes(rows[at][0]) + 8 * partitions,
    replyBytes: 8 * columns,
  });
  const wanted = Array.from({ length: partitions }, (_, partition) => {
    return { partition, sequence: 0, querySequence: 0 };
  });
  for (const [from, to] of ranges) {
    const part = rows.slice(from, to), since = new Float64Array(part.length * partitions);
    part.forEach(([, { places }], at) => {
      for (const { partition, sequence } of places) since[at * partitions + partition] = sequence;
    });
    const question = { kind: "drift", ids: part.map(([id]) => id), since } as const;
    const { answers } = await asker.gather(operation, question, wanted, { until, waits: false, most });
    // Without every partition nothing is certified, and the rows are asked for.
    if (answers.size < partitions) continue;
    const all = [...answers.values()].sort((a, b) => a.partition - b.partition);
    const drifts = all.map(({ partition, answer, valueNorm }) => ({
      numbers: asker.decoded(operation, partition, () => decodeNumbers(answer, part.length * columns)),
      valueNorm,
    }));
    const at = clock.now(), places = all.map((answer) => asker.placeOf(answer, at));
    part.forEach(([id, row], query) => {
      // A replica that lacks records of the row cannot tell how far it has moved.
      const isBehind = row.places.some(({ partition, sequence }) => places[partition].sequence < sequence);
      if (isBehind || row.places.length < partitions) return;
      const bound = row.bound + driftBound(scoring, drifts, query, row.version, row.data);
      if (bound <= maxError) certified.set(id, { ...row, bound, places, at });
    });
  }
  return certified;
}
