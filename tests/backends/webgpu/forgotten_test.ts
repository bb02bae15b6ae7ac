// Full suite: a software device takes its time.
//
// A row that is deleted is gone from a device, too: after a deletion and a flush no buffer that an engine
// holds has a number of the row, or one that follows from it alone. All buffers are read back and searched.

import { BackendError, type FlushPolicy } from "../../../mod.ts";
import type { KeyTable } from "../../../src/backends/host/key_table.ts";
import { ArrayTable } from "../../../src/backends/host/number_table.ts";
import { WebgpuBackend } from "../../../src/backends/webgpu/webgpu_backend.ts";
import { acquireDevice, type GpuDevice } from "../../../src/backends/webgpu/device.ts";
import { HostRows } from "../../../src/backends/host/host_rows.ts";
import { PART_TERMS } from "../../../src/backends/webgpu/key_parts.ts";
import { toRecordLayout } from "../../../src/backends/webgpu/record_layout.ts";
import { StateMirror } from "../../../src/backends/webgpu/state_mirror.ts";
import { BufferUsage, MapMode } from "../../../src/backends/webgpu/usage.ts";
import { createEngine } from "../../../src/engine/create_engine.ts";
import { assert, assertEquals, assertGreater, assertRejects } from "../../../testing/assert.ts";
import { matrixOf } from "../../../testing/accuracy.ts";
import { GPU } from "../../backends_here.ts";
import { Random } from "../../../testing/random.ts";
import { saying } from "../../../testing/webgpu_engine.ts";

const SEEDS = Deno.env.get("ATTUNE_LONG") === "1" ? 100 : 14;

/** A device whose buffers can all be read, and those that are alive. */
function watched(gpu: GpuDevice): { readonly gpu: GpuDevice; readonly alive: Set<GPUBuffer> } {
  const { device } = gpu, alive = new Set<GPUBuffer>();
  const createBuffer = (descriptor: GPUBufferDescriptor) => {
    const isMapped = (descriptor.usage & BufferUsage.MAP_READ) !== 0;
    const usage = isMapped ? descriptor.usage : descriptor.usage | BufferUsage.COPY_SRC;
    const buffer = device.createBuffer({ ...descriptor, usage });
    alive.add(buffer);
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      alive.delete(buffer);
      destroy();
    };
    return buffer;
  };
  const double = new Proxy(device, {
    get(target, name) {
      if (name === "createBuffer") return createBuffer;
      const member = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  return { gpu: saying(gpu, { device: double }), alive };
}

/** The bytes of a buffer. */
async function bytesOf({ device }: GpuDevice, buffer: GPUBuffer): Promise<ArrayBuffer> {
  const isMapped = (buffer.usage & BufferUsage.MAP_READ) !== 0;
  const { MAP_READ, COPY_DST } = BufferUsage;
  const staging = isMapped ? buffer : device.createBuffer({ size: buffer.size, usage: MAP_READ | COPY_DST });
  if (!isMapped) {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
    device.queue.submit([encoder.finish()]);
  }
  await staging.mapAsync(MapMode.READ);
  const bytes = staging.getMappedRange().slice(0);
  staging.unmap();
  if (!isMapped) staging.destroy();
  return bytes;
}

/** Numbers that follow from planted ones, one by one and from all of them, as float32. */
function tracesOf(rows: readonly Float32Array[]): Set<number> {
  const numbers = rows.flatMap((row) => [...row, Math.hypot(...row)]);
  const traces = numbers.flatMap((x) => [x, x / 2, 2 * x, x * x, x * x / 2, Math.sqrt(Math.abs(x)), 1 / x]);
  return new Set(traces.flatMap((x) => [Math.fround(x), Math.fround(-x)]));
}

/** Fails when a buffer holds a trace. */
async function assertGone(
  gpu: GpuDevice,
  alive: Iterable<GPUBuffer>,
  rows: readonly Float32Array[],
  what: string,
): Promise<number> {
  const traces = tracesOf(rows);
  let searched = 0;
  for (const buffer of alive) {
    const numbers = new Float32Array(await bytesOf(gpu, buffer));
    searched += numbers.length;
    numbers.forEach((number, at) => {
      if (number === 0) return;
      assert(!traces.has(number), `${what}: ${number} is still in "${buffer.label}", at word ${at}`);
    });
  }
  return searched;
}

/** Rows of few binary digits, so that none of their numbers is a planted one by chance. */
function plainRows(random: Random, count: number, length: number): Float32Array<ArrayBuffer>[] {
  return random.rows(count, length).map((row) => row.map((x) => Math.round(64 * x) / 64));
}

/** Numbers that come about in no other way. */
function plant(random: Random, length: number, size: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, () => size * (1 + random.next()) * random.pick([1, -1]));
}

/**
 * Queries that tell on a key: with the first every weight is 1, so that sums of one key are its value; with
 * the second scores are numbers of the keys.
 */
function queriesOf(random: Random, heads: number): Float32Array[] {
  const unit = Float32Array.from({ length: 3 * heads }, (_, c) => c % 3 === 0 ? 1 : 0);
  return [new Float32Array(3 * heads), unit, ...plainRows(random, 1, 3 * heads)];
}

async function start(
  gpu: GpuDevice,
  random: Random,
  keys: number,
  heads: number,
  hasMask: boolean,
  onThreshold: FlushPolicy = random.pick(["patch", "auto", "rebuild"]),
) {
  const layout = { heads, kvHeads: heads, headDim: 3, valueDim: 2 };
  const rule = { scale: 1, softcap: 0, before: Infinity, after: Infinity };
  const backend = new WebgpuBackend(
    { layout, rule, maskHeads: hasMask ? 1 : 0, tolerance: 1e-8 },
    () => Promise.resolve(gpu),
  );
  const live = await createEngine({
    query: queriesOf(random, heads),
    key: matrixOf(plainRows(random, keys, 3 * heads), 3 * heads),
    value: matrixOf(plainRows(random, keys, 2 * heads), 2 * heads),
    ...{ heads, scale: 1, backend: "array", lazyThreshold: Infinity },
    onThreshold,
    ...(hasMask ? { mask: (i: number, j: number) => (i + j) % 3 > 0 } : {}),
  }, { wrap: () => backend });
  return { live, backend };
}

Deno.test("webgpu: what was kept or read of a row is wiped at the host when it is dropped", () => {
  const random = new Random(5), layout = { heads: 1, kvHeads: 1, headDim: 3, valueDim: 2 };
  const rule = { scale: 1, softcap: 0, before: Infinity, after: Infinity };
  const makeTable = () => new ArrayTable();
  const rows = new HostRows({ layout, rule, maskHeads: 1, tolerance: 1e-8 }, {
    layout,
    maskHeads: 1,
    columns: 4,
    hasPositions: true,
    makeTable,
  });
  const key = { slots: Uint32Array.of(0), positions: new Float64Array(1) };
  const none = { slots: new Uint32Array(0), positions: new Float64Array(0), bias: new Float32Array(0) };
  const queries = { ...none, live: new Uint8Array(0), rows: new Float32Array(0) };
  const store = (live: number, retained: number) => {
    const bias = live === 1 ? random.row(1) : new Float32Array(1);
    const keys = { ...key, bias, live: Uint8Array.of(live), rows: random.row(5) };
    rows.reserve(rows.sizesFor({ keys, queries }, Uint32Array.of(retained)));
    if (live === 0) rows.retain(0, retained);
    rows.stored.store(keys);
  };
  const isWiped = (store: KeyTable) => {
    const { keys, values, positions, bias } = store.block();
    return [keys, values, positions, bias?.numbers ?? []].every((numbers) => numbers.every((x) => x === 0));
  };
  store(1, 0xffffffff);
  assert(!isWiped(rows.stored));
  store(0, 0);
  assert(isWiped(rows.stored) && rows.norms.every((norm) => norm === 0));
  assert(!isWiped(rows.retained));
  rows.drop(Uint32Array.of(0));
  assert(isWiped(rows.retained));

  const mirror = new StateMirror(toRecordLayout(layout, 0));
  mirror.reserve(2);
  mirror.take(1, new Uint32Array(mirror.words).fill(7));
  mirror.forget([1]);
  assert(!mirror.knows(1) && mirror.wordsOf(1).every((word) => word === 0));
});

Deno.test({
  name: "webgpu: keys, values and queries that were deleted are gone from all buffers",
  ...GPU,
  async fn() {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = new Random(seed), heads = random.pick([1, 2]), size = random.pick([1e-3, 1, 5, 1e6]);
      const { gpu, alive } = watched(await acquireDevice());
      // With no other key a row's sums are the planted value; with many, those of one of its parts are.
      const { live, backend } = await start(
        gpu,
        random,
        random.pick([0, 1, 30, 511, 512]),
        heads,
        seed % 3 === 0,
      );
      const planted: Float32Array[] = [];
      for (let round = 0; round < 3; round++) {
        const key = plant(random, 3 * heads, size), value = plant(random, 2 * heads, size);
        const query = plant(random, 3 * heads, 1), passing = plant(random, 3 * heads, 1);
        planted.push(key, value, query, passing);
        const slot = live.insert(key, value), querySlot = live.insertQuery(query);
        if (random.below(2) === 0) await live.read();
        if (random.below(2) === 0) await live.peek();
        if (seed % 3 > 0) await live.attend([passing]);
        if (random.below(2) === 0) await live.weights(random.pick([0, 1, querySlot]));
        for (let more = random.pick([0, 0, 40]); more > 0; more--) {
          live.insert(plainRows(random, 1, 3 * heads)[0], plainRows(random, 1, 2 * heads)[0]);
        }
        if (random.below(2) === 0) await live.read([0]);
        const [other, otherValue] = [plainRows(random, 1, 3 * heads)[0], plainRows(random, 1, 2 * heads)[0]];
        if (random.below(3) === 0) live.set(slot, other, otherValue);
        else live.delete(slot);
        if (random.below(2) === 0) await live.peek();
        if (random.below(2) === 0) await live.read([1]);
        live.deleteQuery(querySlot);
      }
      await live.flush();
      assertGreater(await assertGone(gpu, alive, planted, `seed ${seed}`), 500);
      // Of queries that are gone no state is left.
      for (const buffer of alive) {
        if (buffer.label !== "states") continue;
        const words = new Uint32Array(await bytesOf(gpu, buffer));
        assert(words.subarray(3 * heads * (29 + 2 * 4)).every((word) => word === 0), `seed ${seed}: a state`);
      }
      await live.dispose();
      assertEquals([alive.size, backend.traffic.buffers, backend.traffic.bufferBytes], [0, 0, 0]);
    }
  },
});

Deno.test({
  name: "webgpu: a key that was there for passing queries alone is gone after a flush",
  ...GPU,
  async fn() {
    const random = new Random(2), { gpu, alive } = watched(await acquireDevice());
    const { live } = await start(gpu, random, 5, 1, false);
    for (const slot of [0, 1, 2]) live.deleteQuery(slot);
    const key = plant(random, 3, 1), value = plant(random, 2, 1), slot = live.insert(key, value);
    await live.attend(random.rows(2, 3));
    live.delete(slot);
    await live.flush();
    await assertGone(gpu, alive, [key, value], "no standing query");
    await live.dispose();
  },
});

Deno.test({
  name: "webgpu: the states of parts of rows are gone once they are merged",
  ...GPU,
  async fn() {
    const random = new Random(4), { gpu, alive } = watched(await acquireDevice());
    const { live } = await start(gpu, random, PART_TERMS, 1, false, "patch");
    // Alone in its part, of which the sums for the first query are its value.
    const key = plant(random, 3, 0.1), value = plant(random, 2, 1), slot = live.insert(key, value);
    await live.rebuild();
    live.delete(slot);
    await live.flush();
    assertEquals(live.stats().refreshes, 0);
    await assertGone(gpu, alive, [key, value], "parts");
    await live.dispose();
  },
});

Deno.test({
  name:
    "webgpu: the search finds what is not flushed, and a flush after a lost device leaves nothing to find",
  ...GPU,
  async fn() {
    const random = new Random(3), { gpu, alive } = watched(await acquireDevice());
    const { live } = await start(gpu, random, 5, 1, false);
    const key = plant(random, 3, 1), value = plant(random, 2, 1), slot = live.insert(key, value);
    await live.read();
    await assertRejects(() => assertGone(gpu, alive, [key, value], "there"), Error, "still in");
    live.delete(slot);
    await live.peek();
    await assertRejects(() => assertGone(gpu, alive, [key, value], "kept"), Error, "still in");
    gpu.device.destroy();
    await live.flush().catch((error) => assert(error instanceof BackendError));
    await live.dispose();
    assertEquals(alive.size, 0);
  },
});
