// Break-evens: the number of edits before a read from which a peer's recomputing takes less time.

import { crossing } from "../studies/scaling/power_law.ts";
import { answerAfter, editCounts, hasFixedQueries } from "./plan.ts";
import { type BreakEven, type Measurement, medianOf, type SubjectReport } from "./results.ts";
import { describeShape, type Shape } from "./workload.ts";

/** For every engine, peer and number of keys. */
export function breakEvens(
  subjects: readonly SubjectReport[],
  measurements: readonly Measurement[],
): BreakEven[] {
  const running = subjects.filter(({ missing }) => missing === null);
  const engines = running.filter(({ kind }) => kind === "attune");
  const peers = running.filter(({ kind }) => kind === "peer");
  return engines.flatMap((engine) =>
    shapesOf(measurements).flatMap((shape) => {
      const points = editCounts(shape).flatMap((edits) => {
        const ms = medianOf(measurements, engine.name, engine.threads, shape, answerAfter(edits));
        return ms === null ? [] : [{ edits, ms }];
      });
      if (points.length === 0) return [];
      return peers.filter(({ threads }) => threads === engine.threads).flatMap((peer) => {
        const limit = medianOf(measurements, peer.name, peer.threads, shape, answerAfter(1));
        if (limit === null) return [];
        return [{
          subject: engine.name,
          peer: peer.name,
          threads: peer.threads,
          shape,
          edits: crossing(points, limit),
          tried: Math.max(...points.map(({ edits }) => edits)),
        }];
      });
    })
  );
}

function shapesOf(measurements: readonly Measurement[]): Shape[] {
  const shapes = new Map(
    measurements.filter(({ shape }) => hasFixedQueries(shape)).map((
      { shape },
    ) => [describeShape(shape), shape]),
  );
  return [...shapes.values()];
}
