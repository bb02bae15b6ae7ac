// Full suite: it tries 173 values in each of a hundred places.
//
// As `hostile_values_test.ts`, of an engine with all that an engine can have: ids, positions, biases by distance, sinks and a mask
// that is edited. What is accepted is answered as the oracle answers the rows, positions and mask that the engine tells, on
// each backend; what is refused is refused by type, and nothing has changed.

import {
  attention,
  attentionBatch,
  AttentionError,
  type AttentionOptions,
  type BackendName,
  DynamicAttention,
  type DynamicAttentionOptions,
  type RowId,
  splitHeads,
} from "../../mod.ts";
import { referenceAttention } from "../../src/numerics/reference.ts";
import { decodeSafetensors } from "../../src/store/mod.ts";
import { assert, assertEquals, assertInstanceOf, assertLess } from "../../testing/assert.ts";
import { as } from "../../testing/bad_calls.ts";
import { MORE_VALUES, outcome, type Value } from "../../testing/hostile_values.ts";

type Engine = DynamicAttention<RowId, RowId>;

const BACKENDS: readonly BackendName[] = ["array", "wasm"];
const [HEADS, D, DV] = [2, 2, 1], OFFSET = 1, LEFT = 6, SLOPES = [0.5, 0.25], SINKS = [0, -1], SOFTCAP = 4;
const QUERY = [1, 0, 2, 1], KEY = [1, 2], VALUE = [4];
const MASK_SIZE = 8;

/** An engine with everything, some edits of which wait. */
async function makeAll(backend: BackendName): Promise<Engine> {
  const mask = Float32Array.from(
    { length: MASK_SIZE * MASK_SIZE },
    (_, at) => at % 5 === 0 ? -Infinity : at % 3,
  );
  const live = await DynamicAttention.create<RowId, RowId>({
    ...{ query: [[1, 0, 0, 1], [0, 1, 1, 0], [1, 1, 2, 0]], key: [[1, 1], [0, 1], [1, 0], [2, 1], [0, 0]] },
    ...{ value: [[1], [2], [-3], [4], [9]], heads: HEADS, kvHeads: 1, backend },
    ...{ keyIds: ["a", "b", 7, 8n, "e"], queryIds: ["q", 2, 3n], queryPositions: [4, 5, 6] },
    ...{ causal: { offset: OFFSET }, window: { left: LEFT }, alibi: SLOPES, sinks: SINKS },
    ...{ softcap: SOFTCAP, biasBeforeSoftcap: true, lazyThreshold: Infinity },
    ...{ mask: { data: mask, shape: [MASK_SIZE, MASK_SIZE] }, editableMask: true },
  });
  live.setKey("b", [0.5, -1]);
  live.delete("e");
  await live.flush();
  live.setValue(7, [-2]);
  live.setPosition("a", 2.5);
  live.setMask(0.5, { keys: [8n] });
  return live;
}

/** The rows of an engine, and all else that edits change, as text. */
function rowsOf(live: Engine): string {
  const nameOf = (id: RowId) => `${typeof id} ${id}`;
  const keys = live.keyIds().map((id) =>
    [nameOf(id), live.getKey(id), live.getValue(id), live.getPosition(id)].join(" ")
  );
  const queries = live.queryIds().map((id) =>
    [nameOf(id), live.getQuery(id), live.getQueryPosition(id)].join(" ")
  );
  return [...keys, ...queries, live.sequence, JSON.stringify(live.metadata)].join("\n");
}

/** All that an engine tells at once. */
function glance(live: Engine): string {
  return `${rowsOf(live)}\n${JSON.stringify({ ...live.stats(), applyMs: 0, readMs: 0 })}`;
}

/** The mask that an engine holds, as a file of it has it. */
async function maskOf(live: Engine): Promise<Float32Array> {
  const { tensors } = await decodeSafetensors(await live.save());
  return tensors["mask.0"].data as Float32Array;
}

/** The mask that `makeAll` makes. */
const firstMask = await (async () => {
  await using live = await makeAll("array");
  return await maskOf(live);
})();

/** Compares what is answered with the oracle. */
async function assertRight(live: Engine, what: string): Promise<void> {
  const keys = live.keyIds(), queries = live.queryIds();
  const keySlots = live.keySlots(), querySlots = live.querySlots();
  const at = keys.map((id) => live.getPosition(id)), from = queries.map((id) => live.getQueryPosition(id));
  const value = keys.map((id) => live.getValue(id));
  const mask = what.startsWith("setMask") ? await maskOf(live) : firstMask;
  const { output } = referenceAttention({
    ...{ query: queries.map((id) => live.getQuery(id)), key: keys.map((id) => live.getKey(id)), value },
    ...{ heads: HEADS, kvHeads: 1, scale: 1 / Math.sqrt(D), valueDim: DV, softcap: SOFTCAP, biasFirst: true },
    sinks: SINKS,
    bias: (i, j, head) => {
      const ahead = at[j] - from[i];
      if (ahead > OFFSET || ahead < -LEFT) return -Infinity;
      return mask[querySlots[i] * MASK_SIZE + keySlots[j]] - SLOPES[head] * Math.abs(ahead);
    },
  });
  const largest = value.reduce((most, row) => Math.max(most, ...Array.from(row, Math.abs)), 1e-30);
  const { data } = await live.read();
  assertEquals(data.length, output.flat().length, what);
  output.flat().forEach((o, place) => {
    assert(Math.abs(data[place] - o) <= 2e-5 * largest, `${what}: ${data[place]}, expected ${o}`);
  });
}

/** Calls by what is given to them. */
const METHODS: Readonly<Record<string, (live: Engine, bad: never) => unknown>> = {
  "insert's id": (live, bad) => live.insert(KEY, VALUE, { id: bad }),
  "insert's position": (live, bad) => live.insert(KEY, VALUE, { id: "new", position: bad }),
  "upsert's id": (live, bad) => live.upsert(bad, KEY, VALUE),
  "upsert's key": (live, bad) => live.upsert("a", bad, VALUE),
  "upsert's value": (live, bad) => live.upsert("new", KEY, bad),
  "upsert's options": (live, bad) => live.upsert("a", KEY, VALUE, bad),
  "upsert's position": (live, bad) => live.upsert("a", KEY, VALUE, { position: bad }),
  "delete's id": (live, bad) => live.delete(bad),
  "insertQuery's id": (live, bad) => live.insertQuery(QUERY, { id: bad }),
  "insertQuery's position": (live, bad) => live.insertQuery(QUERY, { id: "new", position: bad }),
  "upsertQuery's id": (live, bad) => live.upsertQuery(bad, QUERY),
  "upsertQuery's query": (live, bad) => live.upsertQuery("q", bad),
  "upsertQuery's options": (live, bad) => live.upsertQuery("q", QUERY, bad),
  "upsertQuery's position": (live, bad) => live.upsertQuery("new", QUERY, { position: bad }),
  "setPosition's id": (live, bad) => live.setPosition(bad, 3),
  "setPosition's position": (live, bad) => live.setPosition("a", bad),
  "setQueryPosition's id": (live, bad) => live.setQueryPosition(bad, 3),
  "setQueryPosition's position": (live, bad) => live.setQueryPosition("q", bad),
  "shiftPositions' by": (live, bad) => live.shiftPositions(bad),
  "shiftPositions' range": (live, bad) => live.shiftPositions(1, bad),
  "shiftPositions' from": (live, bad) => live.shiftPositions(1, { from: bad }),
  "shiftPositions' to": (live, bad) => live.shiftPositions(0.5, { to: bad }),
  "setMask's entries": (live, bad) => live.setMask(bad),
  "setMask's row": (live, bad) => live.setMask([bad], { queries: ["q"], keys: ["a", 7, 8n] }),
  "setMask's entry": (live, bad) => live.setMask([[0, bad]], { queries: ["q"], keys: ["a", 7] }),
  "setMask's options": (live, bad) => live.setMask(1, bad),
  "setMask's queries": (live, bad) => live.setMask(1, { queries: bad }),
  "setMask's keys": (live, bad) => live.setMask(1, { keys: bad }),
  "setMask's key": (live, bad) => live.setMask(1, { keys: ["b", bad] }),
  "setMask's head": (live, bad) => live.setMask(1, { head: bad }),
  "an edit's id": (live, bad) =>
    live.edit([{ kind: "delete", slot: "a" }, { kind: "upsert", id: bad, key: KEY, value: VALUE }]),
  "an edit's slot": (live, bad) =>
    live.edit([{ kind: "delete", slot: "a" }, { kind: "setPosition", slot: bad, position: 3 }]),
  "an edit's position": (live, bad) =>
    live.edit([{ kind: "insert", key: KEY, value: VALUE, id: "new" }, {
      kind: "setQueryPosition",
      slot: 3n,
      position: bad,
    }]),
  "hasKey's id": (live, bad) => live.hasKey(bad),
  "hasQuery's id": (live, bad) => live.hasQuery(bad),
  "getValue's id": (live, bad) => live.getValue(bad),
  "getPosition's id": (live, bad) => live.getPosition(bad),
  "getQueryPosition's id": (live, bad) => live.getQueryPosition(bad),
  "read's slots": (live, bad) => live.read(bad),
  "read's options": (live, bad) => live.read(["q"], bad),
  "read's into": (live, bad) => live.read(["q"], { into: bad }),
  "peek's into": (live, bad) => live.peek(["q"], { into: bad }),
  "follow's slots": (live, bad) => live.follow(bad).refresh(),
  "follow's options": (live, bad) => live.follow(["q"], bad).refresh(),
  "follow's error": (live, bad) => live.follow(["q"], { error: bad }).refresh(),
  "follow's into": (live, bad) => live.follow(["q"], { into: bad }).refresh(),
  "weightsOf's rows": (live, bad) => live.weightsOf(bad),
  "weightsOf's options": (live, bad) => live.weightsOf(["q"], bad),
  "weightsOf's heads": (live, bad) => live.weightsOf(["q"], { heads: bad }),
  "weightsOf's head": (live, bad) => live.weightsOf(["q"], { heads: [0, bad] }),
  "topKeys' rows": (live, bad) => live.topKeys(bad, 2),
  "topKeys' row": (live, bad) => live.topKeys(["q", bad], 2),
  "recommend's id": (live, bad) => live.recommend(bad, 2),
  "recommend's count": (live, bad) => live.recommend("q", bad),
  "recommend's options": (live, bad) => live.recommend("q", 2, bad),
  "recommend's exclude": (live, bad) => live.recommend("q", 2, { exclude: bad }),
  "attend's queries": (live, bad) => live.attend(bad, { mask: () => true }),
  "attend's options": (live, bad) => live.attend([QUERY], bad),
  "attend's position": (live, bad) => live.attend([QUERY], { positions: [bad], mask: () => true }),
  "attend's mask": (live, bad) => live.attend([QUERY], { mask: bad }),
  "attend's row of a mask": (live, bad) => live.attend([QUERY], { mask: [bad] }),
  "what attend's mask answers": (live, bad) => live.attend([QUERY], { mask: () => bad }),
  "save's options": (live, bad) => live.save(bad),
  "save's metadata": (live, bad) => live.save({ metadata: bad }),
  "a field of metadata": (live, bad) => live.save({ metadata: { list: [1, { field: bad }] } }),
  "moveTo's backend": (live, bad) => live.moveTo(bad),
};

Deno.test("hostile values: an engine with all that an engine can have", async () => {
  for (const [name, call] of Object.entries(METHODS)) {
    let live = await makeAll("array"), before = glance(live), rows = rowsOf(live);
    let refused = 0, accepted = 0;
    for (const [what, make] of MORE_VALUES) {
      const error = await outcome(() => call(live, as(make())));
      if (error !== null) {
        refused++;
        assertRefusal(error, `${name}: ${what}`);
        assertEquals(glance(live), before, `${name}: ${what}`);
        continue;
      }
      if (rowsOf(live) !== rows) {
        await assertRight(live, `${name}: ${what}`);
        await live.dispose();
        if (accepted++ % 3 === 0) {
          // What is accepted means the same elsewhere.
          await using other = await makeAll("wasm");
          await call(other, as(make()));
          await assertRight(other, `${name}: ${what}, on wasm`);
        }
        live = await makeAll("array");
        rows = rowsOf(live);
      }
      before = glance(live);
    }
    if (!name.startsWith("has")) assert(refused > 20, `${name}: ${refused} refused`);
    await assertRight(live, name);
    await live.dispose();
  }
});

function assertRefusal(error: unknown, what: string): void {
  assertInstanceOf(error, AttentionError, `${what}: ${error instanceof Error ? error.stack : error}`);
  assert(
    error.operation !== "" && error.message.startsWith(`${error.operation}: `),
    `${what}: ${error.message}`,
  );
  assertLess(error.message.length, 700, what);
}

const ROWS: AttentionOptions = { query: [[1, 2]], key: [[1, 2], [3, 4]], value: [[1], [2]] };
const withIds = (options: Partial<DynamicAttentionOptions<RowId, RowId>>) =>
  as<DynamicAttentionOptions<RowId, RowId>>({ ...ROWS, ...options });

/** Options, and what is in them. */
const OPTIONS: Readonly<Record<string, (bad: never) => object>> = {
  alibi: (bad) => ({ alibi: bad }),
  "a slope": (bad) => ({ alibi: [bad] }),
  sinks: (bad) => ({ sinks: bad }),
  "a sink": (bad) => ({ sinks: [bad] }),
  distanceBias: (bad) => ({ distanceBias: bad }),
  "a table's start": (bad) => ({ distanceBias: { from: bad, values: [0, 1] } }),
  "a table's numbers": (bad) => ({ distanceBias: { from: 0, values: bad } }),
  "a table's number": (bad) => ({ distanceBias: { from: 0, values: [0, bad] } }),
  "a table's list": (bad) => ({ distanceBias: { from: 0, values: [[0, 1], bad] } }),
  "a table's end": (bad) => ({ distanceBias: { from: 0, to: bad, bias: () => 0 } }),
  "a table's function": (bad) => ({ distanceBias: { from: 0, to: 1, bias: bad } }),
  "what a table's function answers": (bad) => ({ distanceBias: { from: 0, to: 1, bias: () => bad } }),
  rotary: (bad) => ({ rotary: bad }),
  "a base": (bad) => ({ rotary: { base: bad } }),
  "the columns that turn": (bad) => ({ rotary: { dims: bad } }),
  "how pairs lie": (bad) => ({ rotary: { interleaved: bad } }),
  blockMask: (bad) => ({ blockMask: bad }),
  "a size of blocks": (bad) => ({ blockMask: { size: bad, entries: [[0, 1], [1, 0]] } }),
  "a size of blocks of keys": (bad) => ({ blockMask: { size: [1, bad], entries: [[0, 1], [1, 0]] } }),
  "entries of blocks": (bad) => ({ blockMask: { size: 1, entries: bad } }),
  "a row of blocks": (bad) => ({ blockMask: { size: 1, entries: [bad] } }),
  "an entry of blocks": (bad) => ({ blockMask: { size: 1, entries: [[true, bad]] } }),
  "blocks' data": (bad) => ({ blockMask: { size: 1, entries: { data: bad, shape: [1, 2] } } }),
  biasBeforeSoftcap: (bad) => ({ biasBeforeSoftcap: bad }),
  window: (bad) => ({ window: bad }),
  "a window's left": (bad) => ({ window: { left: bad } }),
  "a window's right": (bad) => ({ window: { right: bad } }),
  "a window's first keys": (bad) => ({ window: { left: 1, keepFirst: bad } }),
  "a strided matrix's strides": (bad) => ({ key: { data: [1, 2, 3, 4], shape: [2, 2], strides: bad } }),
  "a strided matrix's offset": (bad) => ({ key: { data: [1, 2, 3, 4, 5], shape: [2, 2], offset: bad } }),
  "a sparse matrix's columns": (bad) => ({
    key: { data: [1, 2], indices: bad, indptr: [0, 1, 2], shape: [2, 2] },
  }),
  "a sparse matrix's rows": (bad) => ({ key: { data: [1, 2], indices: [0, 1], indptr: bad, shape: [2, 2] } }),
  keyIds: (bad) => ({ keyIds: bad }),
  "a key's id": (bad) => ({ keyIds: ["a", bad] }),
  queryIds: (bad) => ({ queryIds: bad }),
  editableMask: (bad) => ({ mask: [[0, 1]], editableMask: bad }),
};
const OF_ENGINES = /Ids|id$|editable/;

for (const [name, optionsOf] of Object.entries(OPTIONS)) {
  Deno.test(`hostile values: ${name}`, async () => {
    let refused = 0;
    for (const [what, make] of MORE_VALUES) {
      const answers: Float32Array[] = [];
      for (const backend of BACKENDS) {
        const error = await outcome(async () => {
          await using live = await DynamicAttention.create(withIds({ ...optionsOf(as(make())), backend }));
          answers.push((await live.read()).data);
          await using again = await DynamicAttention.load(await live.save());
          assertEquals(await again.read(), await live.read(), `${name}: ${what}`);
        });
        if (error !== null) {
          refused++;
          assertRefusal(error, `${name}: ${what}`);
        }
        if (OF_ENGINES.test(name)) continue;
        const options = as<AttentionOptions>({ ...ROWS, ...optionsOf(as(make())), backend });
        const once = await outcome(async () => answers.push((await attention(options)).data));
        assertEquals(once === null, error === null, `${name}: ${what}: ${once}`);
        if (once !== null) assertRefusal(once, `${name}: ${what}`);
      }
      const [first] = answers;
      for (const answer of answers) {
        assert(Math.abs(answer[0] - first[0]) <= 1e-4, `${name}: ${what}: ${answers}`);
      }
    }
    assert(refused > 20, `${refused} refused`);
  });
}

Deno.test("hostile values: batches, heads that are split", async () => {
  const batch = {
    query: { data: [1, 2], shape: [1, 1, 2] },
    key: { data: [1, 2, 3, 4], shape: [1, 2, 2] },
    value: { data: [1, 2], shape: [1, 2, 1] },
  };
  const matrix = { data: Float32Array.of(1, 2), shape: [1, 2] as const };
  const calls: Readonly<Record<string, (bad: never) => unknown>> = {
    "attentionBatch's options": (bad) => attentionBatch(bad),
    "a batch's query": (bad) => attentionBatch({ ...batch, query: bad }),
    "a batch's data": (bad) => attentionBatch({ ...batch, key: { data: bad, shape: [1, 2, 2] } }),
    "a batch's shape": (bad) => attentionBatch({ ...batch, value: { data: [1, 2], shape: bad } }),
    "a batch's length": (bad) => attentionBatch({ ...batch, value: { data: [1, 2], shape: [1, bad, 1] } }),
    "a batch's mask": (bad) => attentionBatch({ ...batch, mask: bad }),
    "a batch's tensor": (bad) => attentionBatch({ ...batch, mask: { data: bad, shape: [1, 1, 1, 2] } }),
    "a batch's tensor's shape": (bad) => attentionBatch({ ...batch, mask: { data: [0, 0], shape: bad } }),
    "a batch's sinks": (bad) => attentionBatch({ ...batch, sinks: bad }),
    "splitHeads' matrix": (bad) => splitHeads(bad, 1),
    "splitHeads' heads": (bad) => splitHeads(matrix, bad),
    "splitHeads' data": (bad) => splitHeads({ ...matrix, data: bad }, 1),
    "splitHeads' shape": (bad) => splitHeads({ ...matrix, shape: bad }, 1),
  };
  for (const [name, call] of Object.entries(calls)) {
    const refusals: Value[] = [];
    for (const value of MORE_VALUES) {
      const error = await outcome(() => call(as(value[1]())));
      if (error === null) continue;
      refusals.push(value);
      assertRefusal(error, `${name}: ${value[0]}`);
      const { operation } = error as AttentionError;
      assert(/^(attentionBatch|splitHeads|mask\()/.test(operation), operation);
    }
    assert(refusals.length > 20, `${name}: ${refusals.length} refused`);
  }
});
