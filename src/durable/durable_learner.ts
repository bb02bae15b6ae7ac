/**
 * A learner over a durable engine: what a step makes of rows and of the optimizer's states is one transaction.
 */

import type { DynamicAttention } from "../engine/dynamic_attention.ts";
import { InputError } from "../base/errors.ts";
import { type LearnerOptions, toLearnerConfig } from "../learning/learner_options.ts";
import type { SavedLearner } from "../learning/learner_snapshot.ts";
import { keepLearner, type OnlineLearner } from "../learning/online_learner.ts";
import type { SavedStates } from "../learning/row_states.ts";
import type { RowKind } from "../write/newest_rows.ts";
import type { RowId } from "../write/row_ids.ts";
import { Damage } from "./durability_error.ts";
import type { Journal } from "./journal.ts";
import { JOURNAL_FILE } from "./journal_database.ts";
import type { Besides } from "./besides.ts";
import { LEARNER, stateName } from "./kept_states.ts";

/** What is kept of a learner beside the states of rows. */
interface LearnerRecord {
  readonly version: 1;
  readonly loss: string;
  readonly optimizer: string;
  readonly steps: number;
  readonly exactReads: number;
  readonly staleReads: number;
  readonly randomState: number;
}

/** @throws {InputError} When loss or optimizer are others than before. */
export function openLearner<KeyId extends RowId, QueryId extends RowId>(
  operation: string,
  live: DynamicAttention<KeyId, QueryId>,
  journal: Journal,
  options: LearnerOptions<KeyId, QueryId>,
): OnlineLearner<KeyId, QueryId> {
  const { loss, optimizer } = toLearnerConfig(operation, options);
  const names = { version: 1, loss: loss.name, optimizer: optimizer.name } as const;
  const saved = savedOf(operation, journal.besides, names);
  return keepLearner(live, options, saved, {
    stepped(states, counts) {
      const encoder = new TextEncoder();
      for (const { kind, slot, state } of states) {
        if (state.length > 0) journal.keep(operation, stateName(kind, slot), bytesOf(state));
      }
      const record: LearnerRecord = { ...names, ...counts };
      journal.keep(operation, LEARNER, encoder.encode(JSON.stringify(record)));
    },
    kept: () => journal.kept(),
  });
}

function savedOf(
  operation: string,
  besides: Besides,
  names: Pick<LearnerRecord, "loss" | "optimizer">,
): SavedLearner | null {
  const content = besides.get(LEARNER);
  if (!content) return null;
  const record: LearnerRecord = JSON.parse(new TextDecoder().decode(content));
  if (record.version !== 1) {
    throw new Damage(JOURNAL_FILE, null, `learner has version ${record.version}, expected 1`);
  }
  for (const name of ["loss", "optimizer"] as const) {
    if (names[name] === record[name]) continue;
    throw new InputError(
      operation,
      `${name} is ${names[name]}`,
      `${record[name]}, with which it has learned`,
    );
  }
  const { steps, exactReads, staleReads, randomState } = record;
  const states = {
    key: statesOf(besides, "key"),
    value: statesOf(besides, "value"),
    query: statesOf(besides, "query"),
  };
  return { steps, exactReads, staleReads, randomState, states };
}

function statesOf(besides: Besides, kind: RowKind): SavedStates {
  const found = [...besides].filter(([name]) => name.startsWith(`${kind} `)).map(([name, content]) => {
    return { slot: Number(name.slice(kind.length + 1)), state: new Float64Array(content.slice().buffer) };
  });
  found.sort((a, b) => a.slot - b.slot);
  const length = found[0]?.state.length ?? 0, states = new Float64Array(found.length * length);
  found.forEach(({ state }, at) => states.set(state, at * length));
  return { slots: Uint32Array.from(found, ({ slot }) => slot), states };
}

function bytesOf(state: Float64Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(state.buffer, state.byteOffset, state.byteLength).slice();
}
