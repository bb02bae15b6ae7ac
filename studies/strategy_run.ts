// One strategy over consecutive days: test, then learn, then read.

import type { BackendName } from "../src/backends/select.ts";
import { Board, type Reading } from "./board.ts";
import { type BoardRows, HORIZONS, lastDayOf, QUERY_COUNT } from "./board_rows.ts";
import { type CertificateRecord, CertificateRecorder } from "./certificates.ts";
import { forecast } from "./calendar_features.ts";
import { addReading, type Deviation, NO_DEVIATION } from "./metrics.ts";
import type { Strategy } from "./strategies.ts";

/** The parameters of a run, as plain data for a worker. */
export interface RunTask {
  readonly strategy: Strategy;
  /** The state to start from. */
  readonly first: number;
  /** Days to learn. */
  readonly days: number;
  readonly backend: BackendName;
  /** States whose reading is wanted. */
  readonly audited: readonly number[];
}

/** The result of a run, as plain data. */
export interface RunOutcome {
  /** The backend that "auto" stands for, or the one asked for. */
  readonly backend: string;
  readonly days: number;
  /** HORIZONS.length numbers a day: the forecasts made before it was learnt. */
  readonly forecasts: Float64Array;
  /** Over the readings after each day. */
  readonly deviation: Deviation;
  /** The certificates of the same readings; null where the strategy gives none. */
  readonly certificates: CertificateRecord | null;
  readonly multiplyAdds: number;
  readonly exponentials: number;
  /** Readings of the audited states. */
  readonly readings: ReadonlyMap<number, Float32Array>;
}

/**
 * Runs a task; `exact` is the exact board from state 0 on, `report` hears after each day how many are learnt.
 */
export async function runStrategy(
  { strategy, first, days, backend, audited }: RunTask,
  rows: BoardRows,
  exact: Float64Array,
  report: (days: number) => void,
): Promise<RunOutcome> {
  await using board = await Board.create(rows, first, strategy, backend);
  const before = board.stats();
  const forecasts = new Float64Array(days * HORIZONS.length);
  const readings = new Map<number, Float32Array>();
  const keep = (state: number, { output }: Reading) => {
    if (audited.includes(state)) readings.set(state, output);
  };
  const certificates = new CertificateRecorder();

  let deviation = NO_DEVIATION;
  let reading = await board.read();
  keep(first, reading);
  for (let day = 0; day < days; day++) {
    const state = first + day;
    for (const [at, horizon] of HORIZONS.entries()) {
      forecasts[day * HORIZONS.length + at] = forecast(
        reading.output.subarray(horizon - 1),
        rows.levels[lastDayOf(state)],
      );
    }
    await board.learn();
    reading = await board.read();
    const { output, bounds } = reading, offset = (state + 1) * QUERY_COUNT;
    deviation = addReading(deviation, output, exact, offset);
    if (bounds) certificates.add(output, bounds, exact, offset);
    keep(state + 1, reading);
    report(day + 1);
  }
  const after = board.stats();
  return {
    backend: after.backend,
    days,
    forecasts,
    deviation,
    certificates: reading.bounds && certificates.record(),
    multiplyAdds: after.multiplyAdds - before.multiplyAdds,
    exponentials: after.exponentials - before.exponentials,
    readings,
  };
}
