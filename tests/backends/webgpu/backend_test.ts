// Full suite: a software device takes its time.
//
// The webgpu backend by itself: that weights repeat to the bit, what is asked of the device, small buffers,
// arithmetic that fails, and devices that fail.

import { BackendError, CapacityError, DeviceError, DynamicAttention } from "../../../mod.ts";
import { acquireDevice, type GpuDevice, openDevice } from "../../../src/backends/webgpu/device.ts";
import { referenceAttention } from "../../../src/numerics/reference.ts";
import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "../../../testing/assert.ts";
import { assertAccurate, rowsOf } from "../../../testing/accuracy.ts";
import { GPU } from "../../backends_here.ts";
import { Random } from "../../../testing/random.ts";
import { edit, RULE, saying, start, trafficOf } from "../../../testing/webgpu_engine.ts";

for (const softcap of [0, 7]) {
  Deno.test({
    name: `webgpu: what a patch takes out has the bits of what was added, softcap ${softcap}`,
    ...GPU,
    async fn() {
      // Values are unit vectors, so that each column of an output is the weight of one key.
      const keys = 45, random = new Random(8);
      const unit = (j: number) => Float32Array.from({ length: keys }, (_, c) => c === j ? 1 : 0);
      await using live = await DynamicAttention.create({
        query: random.rows(40, 33),
        key: random.rows(keys, 33),
        value: Array.from({ length: keys }, (_, j) => unit(j)),
        scale: 0.9,
        softcap,
        backend: "webgpu",
        onThreshold: "patch",
        lazyThreshold: Infinity,
      });
      const gone = new Set<number>();
      for (const batch of [1, 2, 5, 12, 3, 20]) {
        for (let t = 0; t < batch; t++) {
          live.delete(gone.size);
          gone.add(gone.size);
        }
        const { data } = await live.read();
        for (let i = 0; i < 40; i++) {
          const row = data.subarray(i * keys, (i + 1) * keys);
          row.forEach((weight, j) =>
            assertEquals(weight === 0, gone.has(j), `key ${j} of row ${i}: ${weight}`)
          );
        }
      }
      // Rows that lost what they held mostly were refreshed, which is no proof; most were not.
      assertLess(live.stats().refreshes, live.stats().rowsPatched / 4);
    },
  });
}

Deno.test({
  name:
    "webgpu: a flush is two submits, a read one submit and one map, and both move only what they are about",
  ...GPU,
  async fn() {
    const { live, backend, model, random } = await start(RULE, acquireDevice, { lazyThreshold: Infinity });
    await live.read();
    const changed = 6, record = 4 * (2 * RULE.headDim + 2 * (RULE.valueDim + 2) + 4);
    assertEquals((await trafficOf(backend, () => edit(live, model, random, changed))).bytesUp, 0);
    await live.flush(); // makes room for what is kept
    edit(live, model, random, changed);
    const flush = await trafficOf(backend, () => live.flush());
    // The patch, and the wiping of what was kept for it.
    assertEquals([flush.submits, flush.maps, flush.bytesDown, flush.buffers], [2, 0, 0, 0]);
    assertLess(flush.bytesUp, changed * record + 4096);
    // Rows of keys to where they are kept, and new ones to their places; the terms of the patch; the patch;
    // the plan of a refresh, and the refresh.
    assertLess(flush.dispatches, 8);
    const state = 4 * RULE.heads * (29 + 2 * (RULE.valueDim + 2));
    const { hasTimestamps } = await acquireDevice();
    /** With the times of passes since the last answer, where the device has a clock. */
    const down = (bytes: number, passes: number) =>
      hasTimestamps ? 8 * Math.ceil(bytes / 8) + 16 * passes : bytes;
    for (const [at, rows] of [[3], [0, 1, 2, 9, 30]].entries()) {
      edit(live, model, random, 1);
      await live.flush();
      const busyBefore = backend.deviceMs ?? 0;
      const read = await trafficOf(backend, () => live.read(rows));
      const expected = down(4 + rows.length * state, at === 0 ? 3 : 1);
      assertEquals([read.submits, read.maps, read.bytesDown], [1, 1, expected]);
      assertEquals(live.stats().deviceMs, backend.deviceMs);
      if (hasTimestamps) assertGreater(backend.deviceMs as number, busyBefore);
      else assertEquals(backend.deviceMs, null);
      const again = await trafficOf(backend, () => live.read(rows));
      assertEquals([again.submits, again.maps], [0, 0], "what is known is not read again");
    }
    assertAccurate(await live.read(), model.standing());
    const weights = await trafficOf(backend, () => live.weights(0, { head: 1 }));
    assertEquals([weights.submits, weights.maps, weights.bytesDown], [1, 1, down(4 * 70, 1)]);
    const attend = await trafficOf(backend, () => live.attend(random.rows(3, RULE.heads * RULE.headDim)));
    assertEquals([attend.submits, attend.maps, attend.bytesDown], [1, 1, down(4 + 3 * state, 1)]);
    await live.dispose();
    assertEquals([backend.traffic.buffers, backend.traffic.bufferBytes], [0, 0]);
  },
});

Deno.test({
  name: "webgpu: tables of many small pages answer as whole ones do",
  ...GPU,
  async fn() {
    const rule = {
      ...RULE,
      maskOf: (query: number, key: number, head: number) => (query + key + head) % 5 / 4,
    };
    for (const chosen of [RULE, rule]) {
      const gpu = await acquireDevice();
      const { live, backend, model, random } = await start(chosen, () => {
        return Promise.resolve(saying(gpu, { largestBinding: 8192 }));
      });
      const pages = backend.traffic.buffers;
      assertGreater(pages, 10);
      for (let round = 0; round < 4; round++) {
        edit(live, model, random, 9, round === 2 ? 30 : 1);
        for (let more = 0; more < 4; more++) {
          const key = random.row(36), value = random.row(10);
          model.insertKey(live.insert(key, value), key, value);
        }
        const query = random.row(72);
        model.insertQuery(live.insertQuery(query), query);
        assertAccurate(await live.read(), model.standing(), `round ${round}`);
        const weights = await live.weights(2, { head: 3 });
        assert(Math.abs(weights.reduce((sum, weight) => sum + weight) - 1) < 1e-5);
      }
      await live.dispose();
      assertEquals(backend.traffic.buffers, 0);
    }
  },
});

Deno.test({
  name:
    "webgpu: where two floats do not work rows are refreshed more often, and where weights do not repeat always",
  ...GPU,
  async fn() {
    const gpu = await openDevice();
    await Promise.all([gpu.pipelines.add("plainBuild"), gpu.pipelines.add("plainPatch")]);
    for (
      const arithmetic of [
        { ...gpu.arithmetic, isCompensated: false, repeatsWeights: true },
        { ...gpu.arithmetic, isCompensated: false, repeatsWeights: false },
      ]
    ) {
      const { live, model, random } = await start(RULE, () => Promise.resolve(saying(gpu, { arithmetic })), {
        onThreshold: "patch",
        lazyThreshold: 4,
      });
      for (let round = 0; round < 60; round++) {
        edit(live, model, random, 1 + round % 5, random.pick([0.1, 1, 1, 12]));
        assertAccurate(await live.read(), model.standing(), `round ${round}`);
      }
      const { refreshes, rowsPatched } = live.stats();
      if (arithmetic.repeatsWeights) {
        assertGreater(refreshes, 10);
        assertGreater(rowsPatched, refreshes);
      } else assertEquals(rowsPatched, 0);
      await live.dispose();
    }
    gpu.device.destroy();
  },
});

Deno.test({
  name: "webgpu: thousands of keys are all summed, patched and weighed, also where a device ends long loops",
  ...GPU,
  async fn() {
    const random = new Random(3), keyCount = 6000, d = 64;
    const query = random.rows(5, d), key = random.rows(keyCount, d), value = random.rows(keyCount, d);
    const scale = 1 / 8;
    await using live = await DynamicAttention.create({
      query,
      key,
      value,
      backend: "webgpu",
      onThreshold: "patch",
      lazyThreshold: Infinity,
    });
    const compare = async (what: string) => {
      assertAccurate(await live.read(), { query, key, value, scale, valueDim: d }, what);
      const weights = await live.weights(2);
      assert(Math.abs(weights.reduce((sum, weight) => sum + weight) - 1) < 1e-5);
    };
    await compare("built");
    for (let slot = 500; slot < 4500; slot++) {
      key[slot] = random.row(d);
      value[slot] = random.row(d);
      live.set(slot, key[slot], value[slot]);
    }
    await compare("patched");
    assertGreater(live.stats().rowsPatched, 0);
  },
});

Deno.test({
  name: "webgpu: where loops end early work is cut, and rows too long for that are refused",
  ...GPU,
  async fn() {
    const gpu = await acquireDevice();
    const ending = (mostRounds: number) => () =>
      Promise.resolve(saying(gpu, { arithmetic: { ...gpu.arithmetic, mostRounds } }));
    const dispatches: number[] = [];
    for (const mostRounds of [Infinity, 1500]) {
      const { live, backend, model, random } = await start(RULE, ending(mostRounds), {
        onThreshold: "patch",
        lazyThreshold: Infinity,
      });
      const before = backend.traffic.dispatches;
      for (let round = 0; round < 6; round++) {
        edit(live, model, random, 40);
        assertAccurate(await live.read(), model.standing(), `${mostRounds} rounds`);
        await live.weights(round, { head: 1 });
      }
      dispatches.push(backend.traffic.dispatches - before);
      await live.dispose();
    }
    assertGreater(dispatches[1], dispatches[0]);
    await assertRejects(() => start(RULE, ending(100)), DeviceError, "too few");
  },
});

Deno.test({
  name: "webgpu: a device that is lost rejects one answer, and the next one has every edit",
  ...GPU,
  async fn() {
    const devices: GpuDevice[] = [];
    const open = async () => {
      const last = devices.at(-1);
      if (last?.lost === null) return last;
      devices.push(await openDevice());
      return devices[devices.length - 1];
    };
    const { live, backend, model, random } = await start(RULE, open, { lazyThreshold: Infinity });
    const first = referenceAttention(model.standing()).output;
    edit(live, model, random, 3);
    await live.read([0, 1]); // these know of three edits, the others of none
    edit(live, model, random, 2);
    const stale = await live.peek([0, 1, 2]);

    devices[0].device.destroy();
    edit(live, model, random, 2);
    const error = await assertRejects(() => live.read([5]), BackendError);
    assert(error.cause instanceof DeviceError);
    assertEquals(error.cause.reason, "lost");
    edit(live, model, random, 1);
    // States that were read before are known still, and the rest is computed from the rows.
    const { output, bounds, pending } = await live.peek([0, 1, 2, 7]);
    assertGreater(pending, 0);
    rowsOf(output)[3].forEach((o, c) => assert(Math.abs(o - first[7][c]) < 1e-5));
    stale.output.data.forEach((o, at) => assert(Math.abs(o - output.data[at]) < 1e-5));
    assert(bounds.every((bound) => bound < 100));
    assertAccurate(await live.read(), model.standing(), "after the loss");
    assertEquals(devices.length, 2);

    // The same, now noticed by `weights` and `attend`.
    for (const ask of [() => live.weights(3), () => live.attend(random.rows(2, 72)), () => live.save()]) {
      devices[devices.length - 1].device.destroy();
      edit(live, model, random, 1);
      await ask().catch((error) => assert(error instanceof BackendError));
      await ask();
      assertAccurate(await live.read(), model.standing(), "after another loss");
    }
    await live.dispose();
    assertEquals(backend.traffic.buffers, 0);
    devices[devices.length - 1].device.destroy();
  },
});

/** A device whose next error scope finds something. */
function troubled(gpu: GpuDevice): { readonly gpu: GpuDevice; trouble: GPUError | null } {
  const { device } = gpu;
  const found: { gpu: GpuDevice; trouble: GPUError | null } = { gpu, trouble: null };
  const methods = [
    "createBuffer",
    "createCommandEncoder",
    "createBindGroup",
    "createQuerySet",
    "pushErrorScope",
  ] as const;
  const passed = Object.fromEntries(methods.map((name) => [name, device[name].bind(device)]));
  let scopes = 0;
  const double = {
    ...passed,
    queue: device.queue,
    limits: device.limits,
    pushErrorScope: (filter: GPUErrorFilter) => {
      scopes++;
      device.pushErrorScope(filter);
    },
    popErrorScope: async () => {
      const depth = scopes--;
      const said = await device.popErrorScope();
      const isAsked = found.trouble instanceof GPUOutOfMemoryError ? depth === 2 : depth === 1;
      if (!isAsked || !found.trouble) return said;
      const { trouble } = found;
      found.trouble = null;
      return trouble;
    },
  };
  found.gpu = saying(gpu, { device: double as unknown as GPUDevice });
  return found;
}

Deno.test({
  name: "webgpu: refused memory and refused commands reject with typed errors, and nothing is lost",
  ...GPU,
  async fn() {
    const found = troubled(await acquireDevice());
    const { live, backend, model, random } = await start(RULE, () => Promise.resolve(found.gpu), {
      lazyThreshold: Infinity,
    });
    for (let more = 0; more < 80; more++) {
      const key = random.row(36), value = random.row(10);
      model.insertKey(live.insert(key, value), key, value);
    }
    found.trouble = new GPUOutOfMemoryError("no room");
    const error = await assertRejects(() => live.read(), CapacityError, "would take");
    assertGreater(error.bytes, 1000);
    assertEquals((error.cause as DeviceError).reason, "out-of-memory");
    assertAccurate(await live.read(), model.standing(), "after no room");

    edit(live, model, random, 2);
    found.trouble = new GPUValidationError("a bad command");
    const refused = await assertRejects(() => live.read(), BackendError, "a bad command");
    assertEquals((refused.cause as DeviceError).reason, "validation");
    assertAccurate(await live.read(), model.standing(), "after a bad command");
    await live.dispose();
    assertEquals(backend.traffic.buffers, 0);
  },
});

Deno.test({
  name: "webgpu: rows reach the device also by questions that have nothing to compute",
  ...GPU,
  async fn() {
    // Loaded without a standing query, so that no state has to be brought to the device.
    const first = await DynamicAttention.create({
      query: [[1]],
      key: [[1], [2]],
      value: [[3], [4]],
      backend: "webgpu",
    });
    first.deleteQuery(0);
    const loaded = await DynamicAttention.load(await first.save());
    assertEquals((await loaded.attend([[1]])).data, (await first.attend([[1]])).data);
    await first.dispose();
    await loaded.dispose();

    // Weights over no key, and then over some.
    const second = await DynamicAttention.create({
      query: [[1, 2]],
      key: { data: [], shape: [0, 2] },
      value: { data: [], shape: [0, 1] },
      backend: "webgpu",
    });
    second.setQuery(0, [0, 3]);
    assertEquals((await second.weights(0)).length, 0);
    second.insert([1, 1], [1]);
    second.insert([1, -1], [2]);
    const [output] = (await second.read()).data;
    assert(Math.abs(output - (1 + 2 * Math.exp(-6 / Math.SQRT2)) / (1 + Math.exp(-6 / Math.SQRT2))) < 1e-6);
    await second.dispose();
  },
});
