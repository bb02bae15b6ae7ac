// What the playground computes and what its addresses say, without a page: the two engines against the oracle's numbers, and
// addresses there and back.

import { attention } from "../../mod.ts";
import { Lab, type LabOptions } from "../../playground/lab.ts";
import { HEADS, keyRow, queryRow, scratchWork, valueRow } from "../../playground/rows.ts";
import {
  ASKERS,
  type Buoy,
  COLDEST,
  drifted,
  firstBuoy,
  HALF_HEIGHT,
  HALF_WIDTH,
  insideSea,
  WARMEST,
} from "../../playground/sea.ts";
import { Stream } from "../../playground/stream.ts";
import { costSentence } from "../../playground/summary.ts";
import { FIRST_VIEW, fromHash, toHash, type ViewState } from "../../playground/view_state.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertRejects,
} from "../../testing/assert.ts";
import { Random } from "../../testing/random.ts";

const START: LabOptions = {
  count: 16,
  changes: new Map(),
  queries: ASKERS,
  scale: 1,
  softcap: 0,
  threshold: 6,
  budget: Infinity,
  backend: "wasm",
};

/** Attention of these buoys, both heads, from scratch. */
async function answers(buoys: readonly Buoy[], queries = ASKERS): Promise<Float32Array> {
  const { data } = await attention({
    query: queries.map(queryRow),
    key: buoys.map(keyRow),
    value: buoys.map(valueRow),
    heads: HEADS,
    scale: 1,
    backend: "array",
  });
  return data;
}

/** Up to float32 rounding. */
function assertSame(actual: Float32Array, expected: Float32Array): void {
  assertEquals(actual.length, expected.length);
  for (const [at, number] of expected.entries()) assertAlmostEquals(actual[at], number, 1e-4);
}

function buoysOf(lab: Lab): Buoy[] {
  return Array.from({ length: lab.slotCount }, (_, slot) => lab.buoyOf(slot)).filter((buoy) => buoy !== null);
}

Deno.test("playground: after any edits the exact answers are right, and stale ones within their bounds", async () => {
  const lab = await Lab.create(START);
  const random = new Random(5);
  let largest = 0;
  for (let round = 0; round < 120; round++) {
    const slot = random.below(lab.slotCount), buoy = lab.buoyOf(slot);
    const place = insideSea({ x: 5 * random.normal(), y: 3 * random.normal() });
    const kind = round % 6;
    if (kind === 0) lab.insert({ ...place, temperature: 20 });
    else if (kind === 1) lab.delete(slot);
    else if (kind === 2) lab.setQuery(round % ASKERS.length, place);
    else if (buoy) lab.set(slot, { ...place, temperature: kind === 3 ? buoy.temperature : 9 });
    const head = round % HEADS;
    const look = await lab.look(head);
    const expected = await answers(buoysOf(lab), lab.queries);
    for (const at of ASKERS.keys()) {
      assertAlmostEquals(look.exact[at], expected[at * HEADS + head], 1e-4);
      assert(look.distances[at] <= look.bounds[at], `round ${round}, query ${at}`);
      assert(Math.abs(look.exact[at] - look.stale[at]) <= look.bounds[at], `round ${round}, query ${at}`);
      largest = Math.max(largest, look.distances[at]);
    }
    assertEquals(lab.keyCount, buoysOf(lab).length);
    assert(look.pending < 6, "the threshold");
  }
  assertGreater(largest, 0.1, "answers were stale at all");
  await lab.dispose();
});

Deno.test("playground: work is that of edits and answers, not of what the pictures ask for", async () => {
  const lab = await Lab.create({ ...START, count: 1024 });
  assertEquals((await lab.look(0)).costs.total, [0, 0, 0]);
  lab.set(3, { ...lab.buoyOf(3)!, x: 1 });
  const { costs } = await lab.look(0);
  assertEquals([costs.edits, costs.lastEdits, costs.total[2]], [1, 1, scratchWork(ASKERS.length, 1024)]);
  assertGreater(costs.total[1], 0);
  assertGreater(costs.total[2], 100 * costs.total[1]);
  await lab.temperaturesAt(ASKERS, 0);
  assertEquals((await lab.look(0)).costs.total, costs.total);
  await lab.dispose();
});

Deno.test("playground: an error budget is kept, and a threshold that is exchanged is heard", async () => {
  const lab = await Lab.create({ ...START, threshold: Infinity, budget: 0.3 });
  const bounds: number[] = [];
  for (let step = 0; step < 1000; step++) {
    const slot = step % lab.slotCount, buoy = lab.buoyOf(slot)!;
    // Whether an answer is a copy or exact, which is cheaper among so few buoys, is for the engine to say.
    lab.set(slot, { ...buoy, temperature: buoy.temperature + 0.1 });
    const look = await lab.look(0);
    bounds.push(...look.bounds);
    assert(look.distances.every((distance, at) => distance <= look.bounds[at]));
  }
  assert(bounds.every((bound) => bound <= 0.3));
  await lab.dispose();
  const other = await Lab.create({ ...START, threshold: Infinity });
  for (const slot of [1, 2, 3]) other.set(slot, { ...firstBuoy(slot), x: 0 });
  assertEquals((await other.look(0)).pending, 3);
  other.threshold = 4;
  other.set(4, { ...firstBuoy(4), x: 0 });
  assertEquals((await other.look(0)).pending, 0);
  await other.dispose();
});

Deno.test("playground: a backend that is not there changes nothing", async () => {
  const lab = await Lab.create({ ...START, threshold: Infinity });
  lab.set(1, { ...firstBuoy(1), x: 0 });
  const before = await lab.look(0);
  await assertRejects(() => lab.moveTo("gpu" as "webgpu"), Error, 'backend is "gpu"');
  assertEquals(await lab.look(0).then(({ exact, pending }) => ({ exact, pending })), {
    exact: before.exact,
    pending: 1,
  });
  assertEquals(lab.where().backend, "wasm");
  await lab.moveTo("array");
  assertEquals(lab.where().backend, "array");
  assertSame((await lab.look(0)).exact, before.exact);
  await lab.dispose();
});

Deno.test("playground: a lab that takes over a sea has all of it, told or not", async () => {
  const lab = await Lab.create({ ...START, count: 512 });
  const stream = new Stream();
  stream.rate = 40;
  stream.step(lab);
  lab.delete(7);
  lab.set(9, { ...firstBuoy(9), x: 2 });
  const { exact } = await lab.look(0);
  assertEquals([...lab.changes().keys()], [7, 9], "the current is not told in a large sea");
  const next = await Lab.create({ ...START, count: 512, same: lab });
  assertSame((await next.look(0)).exact, exact);
  assertEquals(next.keyCount, 511);
  for (const each of [lab, next]) await each.dispose();
});

Deno.test("playground: head 0 scores by distance, head 1 by the product of places", () => {
  const q = { x: 1.5, y: -2 }, k = { x: -0.5, y: 0.25 };
  const product = (from: number) =>
    queryRow(q).slice(from, from + 4).reduce((sum, number, at) => sum + number * keyRow(k)[from + at], 0);
  assertAlmostEquals(product(0), -(2 ** 2 + 2.25 ** 2), 1e-12);
  assertAlmostEquals(product(4), -0.75 - 0.5, 1e-12);
});

Deno.test("playground: the sea is spread out, and the current keeps buoys in it", () => {
  const quarters = new Set<string>();
  for (let slot = 0; slot < 64; slot++) {
    let buoy: Buoy = firstBuoy(slot);
    assert(buoy.temperature >= COLDEST && buoy.temperature <= WARMEST);
    quarters.add(`${Math.floor(buoy.x / HALF_WIDTH * 4)} ${Math.floor(buoy.y / HALF_HEIGHT * 4)}`);
    for (let step = 0; step < 500; step++) buoy = { ...buoy, ...drifted(buoy, 0.1) };
    assert(Math.abs(buoy.x) <= HALF_WIDTH && Math.abs(buoy.y) <= HALF_HEIGHT);
    assert(Math.hypot(buoy.x - firstBuoy(slot).x, buoy.y - firstBuoy(slot).y) > 0.01, "it moved");
  }
  assertGreater(quarters.size, 48);
});

const OTHER_VIEW: ViewState = {
  power: 7,
  head: 1,
  scalePower: -1.25,
  softcap: 4.5,
  threshold: Infinity,
  budget: 0.03,
  backend: "array",
  query: 3,
  slot: 130,
  queries: ASKERS.with(2, { x: -0.01, y: 2.999 }),
  changes: new Map<number, Buoy | null>([
    [0, null],
    [5, { x: -4.321, y: 0, temperature: 27.9 }],
    [130, { x: 1.5, y: -2.25, temperature: 4 }],
  ]),
};

Deno.test("playground: an address says a view, and the first view is an empty one", () => {
  assertEquals(toHash(FIRST_VIEW), "");
  assertEquals(fromHash(""), { state: FIRST_VIEW, complaints: [] });
  assertEquals(fromHash(`#${toHash(OTHER_VIEW)}`), { state: OTHER_VIEW, complaints: [] });
});

Deno.test("playground: a lab made from an address gives each slot its buoy", async () => {
  const { state } = fromHash(toHash({ ...FIRST_VIEW, power: 4, changes: OTHER_VIEW.changes }));
  const lab = await Lab.create({ ...START, changes: state.changes });
  assertEquals(lab.buoyOf(130), OTHER_VIEW.changes.get(130));
  assertEquals(lab.buoyOf(0), null);
  assertEquals(lab.keyCount, 16);
  assertEquals(lab.changes(), new Map(OTHER_VIEW.changes));
  const { exact, weights, pending } = await lab.look(0);
  const expected = await answers(buoysOf(lab));
  for (const at of ASKERS.keys()) assertAlmostEquals(exact[at], expected[at * HEADS], 1e-4);
  assertGreater(weights[3][130], 0);
  assertEquals([weights[3][0], weights[3][60], pending], [0, 0, 0]);
  await lab.dispose();
});

for (
  const [hash, complaint] of [
    ["power=99", 'address: power is "99", expected an integer from 4 to 16'],
    ["head=0.5", 'address: head is "0.5", expected an integer from 0 to 1'],
    ["scalePower=1e9", 'address: scalePower is "1e9", expected a number from -3 to 3'],
    ["threshold=3", 'address: threshold is "3", expected one of 1, 2, 4,'],
    ["backend=gpu", 'address: backend is "gpu", expected auto, wasm, array, webgpu'],
    ["queries=1,2", 'address: queries is "1,2", expected 4 places'],
    ["keys=1:9,9,9", 'address: keys is "1:9,9,9", expected slot:x,y,temperature'],
    ["keys=1:0,0,90", "address: keys is"],
    ["keys=99999999:0,0,9", "address: keys is"],
    ["keys=<b>", 'address: keys is "<b>"'],
  ] as const
) {
  Deno.test(`playground: the address ${hash} is refused in words, and the rest of it heard`, () => {
    const { state, complaints } = fromHash(`#softcap=2&${hash}`);
    assertEquals(complaints.length, 1);
    assert(complaints[0].message.startsWith(complaint), complaints[0].message);
    assertEquals(state, { ...FIRST_VIEW, softcap: 2 });
  });
}

Deno.test("playground: a step makes as many edits as it says, each of another key, half of them of keys that are drawn", async () => {
  for (const [count, rate, ofDrawn] of [[1024, 9, 4], [32, 8, 8], [16, 1000, 16], [402, 100, 98]]) {
    const lab = await Lab.create({ ...START, count });
    const stream = new Stream();
    stream.rate = rate;
    for (let step = 0; step < 60; step++) {
      const before = Array.from({ length: count }, (_, slot) => lab.buoyOf(slot));
      stream.step(lab);
      const carried = before.flatMap((buoy, slot) => lab.buoyOf(slot) === buoy ? [] : [slot]);
      assertEquals(carried.length, Math.min(rate, count), `${count} keys`);
      assertEquals(carried.filter((slot) => slot < 400).length, ofDrawn, `${count} keys`);
    }
    await lab.dispose();
  }
});

Deno.test("playground: the page says which way is faster, and what the clock cannot tell", () => {
  const costs = { lastEdits: 8, edits: 80, last: [1, 1, 1], total: [0, 10, 100] } as const;
  const said = (own: number, again: number, lastEdits = 8) =>
    costSentence({ ...costs, lastEdits, ms: [1, own, again] }).replace("and an exact answer take here; ", "");
  assertEquals(
    said(0.5, 2),
    "is what 8 edits computing the answer again takes 2.0 ms, 4 × as long, with 10 × the arithmetic",
  );
  assertEquals(
    said(0.6, 0.2, 1),
    "is what an edit computing the answer again takes 0.2 ms: with so few keys, or so many edits, keeping it current is 3 × slower",
  );
  assertEquals(
    said(0.05, 0.02),
    "is what 8 edits computing the answer again takes < 0.1 ms: this clock cannot tell them apart",
  );
});

Deno.test("playground: a look without edits gives the weights of the one before, and another head its own", async () => {
  const lab = await Lab.create({ ...START, count: 64 });
  const first = await lab.look(0), again = await lab.look(0);
  assert(first.weights === again.weights);
  const other = await lab.look(1);
  assert(other.weights[0].some((weight, slot) => weight !== first.weights[0][slot]));
  lab.set(3, { ...lab.buoyOf(3)!, x: 1 });
  const edited = await lab.look(1);
  assert(edited.weights[0][3] !== other.weights[0][3]);
  await lab.dispose();
});
