/**
 * Snapshots of a learner as safetensors files, format "attune-learner", version 2. For T rows of a kind that
 * have a state of S numbers:
 *
 *     engine                                    U8 [bytes]  a snapshot of the engine, see `store/snapshot.ts`
 *     key.slots, value.slots, query.slots       U32 [T]     in ascending order
 *     key.states, value.states, query.states    F64 [T, S]
 *
 * The metadata hold format, version, loss, optimizer, steps, exactReads, staleReads, random and sha256.
 * Version 1, which is not read any more, had squares in the optimizers' states where version 2 has roots.
 */

import type { RowId } from "../write/row_ids.ts";
import { keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import { DynamicAttention } from "../engine/dynamic_attention.ts";
import { EngineCore } from "../engine/engine_core.ts";
import type { LoadOptions } from "../engine/engine_snapshot.ts";
import { FormatError, InputError } from "../base/errors.ts";
import type { RowKind } from "../write/newest_rows.ts";
import { isCount } from "../base/matrix.ts";
import { checkNumbers, type SavedArray, takeNumbers } from "../base/saved_array.ts";
import { checkSeal, seal, UNSEALED } from "../store/checksum.ts";
import { MetadataReader, writeNumber } from "../store/metadata.ts";
import { decodeTensors, encodeTensors } from "../store/safetensors.ts";
import type { Loss } from "./losses.ts";
import { type Optimizer, stateLengthOf } from "./optimizers.ts";
import type { SavedStates } from "./row_states.ts";

/** The content of a learner beside its engine. */
export interface SavedLearner {
  readonly steps: number;
  readonly exactReads: number;
  readonly staleReads: number;
  readonly randomState: number;
  readonly states: Readonly<Record<RowKind, SavedStates>>;
}

/** The loss and the optimizer of a learner, which must be the same after loading. */
export interface LearnerRules {
  readonly loss: Loss;
  readonly optimizer: Optimizer;
}

const FORMAT = "attune-learner", VERSION = "2";
const KINDS: readonly RowKind[] = ["key", "value", "query"];
const NAMES = [
  "format",
  "version",
  "loss",
  "optimizer",
  "steps",
  "exactReads",
  "staleReads",
  "random",
  "sha256",
];

/** Writes a snapshot; equal learners give equal bytes. */
export async function encodeLearner(
  operation: string,
  engine: Uint8Array<ArrayBuffer>,
  { steps, exactReads, staleReads, randomState, states }: SavedLearner,
  { loss, optimizer }: LearnerRules,
): Promise<Uint8Array<ArrayBuffer>> {
  const tensors: Record<string, SavedArray> = { engine: { shape: [engine.length], data: engine } };
  for (const kind of KINDS) {
    const { slots, states: numbers } = states[kind];
    const length = slots.length === 0 ? 0 : numbers.length / slots.length;
    tensors[`${kind}.slots`] = { shape: [slots.length], data: slots };
    tensors[`${kind}.states`] = { shape: [slots.length, length], data: numbers };
  }
  const metadata = {
    format: FORMAT,
    version: VERSION,
    loss: loss.name,
    optimizer: optimizer.name,
    steps: writeNumber(steps),
    exactReads: writeNumber(exactReads),
    staleReads: writeNumber(staleReads),
    random: writeNumber(randomState),
    sha256: UNSEALED,
  };
  const bytes = encodeTensors({ metadata, tensors });
  await seal(operation, bytes);
  return bytes;
}

/**
 * Makes the engine of a snapshot, and reads the rest of it.
 *
 * @throws {FormatError} When the file is damaged or does not agree with itself.
 * @throws {InputError} When the loss or the optimizer is not the saved one.
 */
export async function loadLearner<KeyId extends RowId, QueryId extends RowId>(
  operation: string,
  bytes: Uint8Array<ArrayBuffer>,
  { loss, optimizer }: LearnerRules,
  engineOptions: LoadOptions<KeyId, QueryId>,
): Promise<{ readonly live: DynamicAttention<KeyId, QueryId>; readonly saved: SavedLearner }> {
  const { metadata, tensors } = decodeTensors(operation, bytes);
  const reader = new MetadataReader(operation, metadata);
  reader.choice("format", [FORMAT]);
  reader.choice("version", [VERSION]);
  await checkSeal(operation, bytes);
  reader.checkNames(NAMES);
  for (const [name, rule] of [["loss", loss], ["optimizer", optimizer]] as const) {
    if (metadata[name] === rule.name) continue;
    throw new InputError(operation, `${name} is ${rule.name}`, `${metadata[name]}, with which it was saved`);
  }
  const known = ["engine", ...KINDS.flatMap((kind) => [`${kind}.slots`, `${kind}.states`])];
  const stranger = Object.keys(tensors).find((name) => !known.includes(name));
  if (stranger !== undefined) {
    throw new FormatError(operation, `file has a tensor ${stranger}`, `only ${known.join(", ")}`);
  }
  const count = (name: string) => reader.number(name, isCount, "a whole number ≥ 0");
  const counts = { steps: count("steps"), exactReads: count("exactReads"), staleReads: count("staleReads") };
  const isState = (state: number) => isCount(state) && state < 2 ** 32;
  const randomState = reader.number("random", isState, "a whole number below 2³²");
  const engine = takeNumbers(operation, tensors, "engine", "U8", [null]);
  const live = await DynamicAttention.load<KeyId, QueryId>(engine, engineOptions);
  try {
    const { layout, keySlots, querySlots } = EngineCore.of(operation, live).rules;
    const widths = { key: keyColumns(layout), value: valueColumns(layout), query: queryColumns(layout) };
    const take = (kind: RowKind): SavedStates => {
      const slots = takeNumbers(operation, tensors, `${kind}.slots`, "U32", [null]);
      const table = kind === "query" ? querySlots : keySlots;
      let last = -1;
      checkNumbers(operation, `${kind}.slots`, slots, (slot) => {
        const isNext = slot > last && table.isLive(slot);
        last = slot;
        return isNext;
      }, "live slots in ascending order");
      const length = slots.length === 0 ? 0 : stateLengthOf(operation, optimizer, widths[kind]);
      const states = takeNumbers(operation, tensors, `${kind}.states`, "F64", [slots.length, length]);
      checkNumbers(operation, `${kind}.states`, states, Number.isFinite, "finite numbers");
      return { slots: Uint32Array.from(slots), states: Float64Array.from(states) };
    };
    const states = { key: take("key"), value: take("value"), query: take("query") };
    return { live, saved: { ...counts, randomState, states } };
  } catch (error) {
    await live.dispose();
    throw error;
  }
}
