// Tests of the checks of devices: only devices with exact enough arithmetic pass. Faults of drivers are
// injected into a device that does not; what drivers a machine may have is tried in processes that see some
// of them only.

import { fileURLToPath } from "node:url";
import { DeviceError, DynamicAttention } from "../../../mod.ts";
import { Deadline, TimeoutError } from "../../../src/backends/webgpu/deadline.ts";
import { type GpuDevice, openDevice, type Patience } from "../../../src/backends/webgpu/device.ts";
import { Pipelines } from "../../../src/backends/webgpu/pipelines.ts";
import { assert, assertEquals, assertRejects } from "../../../testing/assert.ts";
import { GPU } from "../../backends_here.ts";
import type { GraphicsState } from "../../../testing/webgpu_states.ts";

/** Changes to a device. */
interface Doctoring {
  /** Changes the text of shaders. */
  readonly code?: (code: string) => string;
  /** Replaces methods. */
  readonly methods?: (device: GPUDevice) => Partial<GPUDevice>;
  /** Another name of the adapter: how a driver compiles is asked once for each. */
  readonly name?: string;
}

function doctored(device: GPUDevice, { code = (text) => text, methods = () => ({}) }: Doctoring): GPUDevice {
  const replaced: Partial<GPUDevice> = {
    createShaderModule: (descriptor) =>
      device.createShaderModule({ ...descriptor, code: code(descriptor.code) }),
    ...methods(device),
  };
  return new Proxy(device, {
    get(target, name) {
      const member = Reflect.get(name in replaced ? replaced : target, name);
      return typeof member === "function" && !(name in replaced) ? member.bind(target) : member;
    },
  });
}

/** Limits that a software device reaches on no machine, however busy it is. */
const PATIENT: Patience = { compileMs: 600_000, checkMs: 600_000 };

/** Opens a device with injected faults, and passes observations to `seen`. */
async function open(
  doctoring: Doctoring,
  patience: Patience = {},
  seen: (device: GPUDevice) => void = () => {},
): Promise<GpuDevice> {
  const { gpu } = navigator;
  const requestAdapter = async () => {
    const adapter = await gpu.requestAdapter();
    assert(adapter);
    return new Proxy(adapter, {
      get(target, name) {
        if (name === "info" && doctoring.name) {
          return { description: doctoring.name, isFallbackAdapter: true };
        }
        if (name !== "requestDevice") return Reflect.get(target, name, target);
        return async (descriptor: GPUDeviceDescriptor) => {
          const device = await target.requestDevice(descriptor);
          seen(device);
          return doctored(device, doctoring);
        };
      },
    });
  };
  Object.defineProperty(navigator, "gpu", { configurable: true, value: { requestAdapter } });
  try {
    return await openDevice(patience);
  } finally {
    Reflect.deleteProperty(navigator, "gpu");
  }
}

/** Changes one place of the shaders that have it. */
function changing(from: string, to: string): Doctoring & { readonly changed: () => number } {
  let changed = 0;
  return {
    code: (text) => {
      if (text.includes(from)) changed++;
      return text.replace(from, to);
    },
    changed: () => changed,
  };
}

const WRONG: Record<string, readonly [from: string, to: string, complaint: RegExp]> = {
  "an exp of 20 bits": ["p, 0.1666652113199234", "p, 0.16666", /exp is off by \d/],
  "powers of two that are off": [
    "return i32(round(clamp(score, -MOST_SCORE, MOST_SCORE) * 1.44269504088896341))",
    "return i32(round(clamp(score, -MOST_SCORE, MOST_SCORE) * 1.4427))",
    /log₂e/,
  ],
  "large arguments that are reduced in one step": [
    "opaque(k * -2.12192535400390625e-4)",
    "0.0",
    /exp is off by/,
  ],
  "a tanh of 20 bits": ["z, p, 1.33314422036e-1", "z, p, 1.3332e-1", /softcap is off by/],
  "sums that are rounded twice": [
    "let sum = opaque(held.high + term);",
    "let sum = opaque(opaque((held.high + term) * 1.0000001));",
    /does not round sums/,
  ],
  "chains of few bits": ["chain = fma(", "chain = 0.99999 * fma(", /sum of products is off by/],
  "underflow to anything": ["a * 0x1p-128f", "a * 0x1p-100f", /near 0/],
  "infinities": [
    "found[goal + 9u] = chain",
    "found[goal + 9u] = bitcast<f32>(call.zero + 0x7f800000u)",
    /not finite/,
  ],
  "scores of other rows": [
    "left[lane + 1u]), factor, sum1",
    "left[lane]), factor, sum1",
    /a row that was built/,
  ],
  "a merge that drops what it holds": ["addTerm(addTerm(held, high), low)", "addTerm(held, low)", /merged/],
  "atomics that lose count": ["atomicAdd(&flagged[head], 1u)", "atomicAdd(&flagged[head], 2u)", /flagged/],
};

for (const [what, [from, to, complaint]] of Object.entries(WRONG)) {
  Deno.test({
    name: `webgpu: a device is refused with ${what}`,
    ...GPU,
    async fn() {
      const wrong = changing(from, to);
      let lost: Promise<unknown> | null = null;
      const error = await assertRejects(
        () => open(wrong, PATIENT, (device) => lost = device.lost),
        DeviceError,
      );
      assertEquals(error.reason, "unfit", error.message);
      assert(complaint.test(error.message), error.message);
      assert(wrong.changed() > 0, "no shader has that line");
      assert(lost, "a device was opened");
      // One that is refused is given back.
      await lost;
    },
  });
}

Deno.test({
  name: "webgpu: a device is taken whose loops end early, or whose weights do not repeat, and it is known",
  ...GPU,
  async fn() {
    const usual = await open({}, PATIENT);
    assert(usual.arithmetic.isCompensated && usual.arithmetic.repeatsWeights);
    usual.device.destroy();
    const short = await open(changing("round < call.termEnd", "round < min(call.termEnd, 5000u)"), PATIENT);
    assertEquals(short.arithmetic, { ...usual.arithmetic, mostRounds: 5000 });
    short.device.destroy();
    // The kernel that patches has another exp, as good as the first.
    const other = await open({
      code: (text) =>
        text.includes("const IS_BUILD = false") && !text.includes("found: array")
          ? text.replace("0.1666652113199234", "0.1666653")
          : text,
    }, PATIENT);
    assertEquals(other.arithmetic, { ...usual.arithmetic, repeatsWeights: false });
    other.device.destroy();
  },
});

Deno.test({
  name: "webgpu: a device that blocks while it compiles is refused before it is asked for all kernels",
  ...GPU,
  async fn() {
    const labels: string[] = [];
    const methods = (device: GPUDevice): Partial<GPUDevice> => ({
      createComputePipeline: (descriptor) => {
        labels.push(descriptor.label ?? "");
        for (const end = performance.now() + 200; performance.now() < end;);
        return device.createComputePipeline(descriptor);
      },
    });
    const error = await assertRejects(
      () => open({ methods, name: "a driver that blocks" }),
      DeviceError,
      "would block for some",
    );
    assertEquals(error.reason, "unfit");
    // One checks numbers, the others foretell; of those that keep rows there is none.
    assert(!labels.some((label) => ["build", "patch", "merge"].includes(label)), `${labels}`);
  },
});

Deno.test({
  name: "webgpu: a compiler that hangs is given up",
  ...GPU,
  async fn() {
    const never = new Promise<never>(() => {});
    const hanging = { methods: () => ({ popErrorScope: () => never }) };
    const error = await assertRejects(
      () => open(hanging, { checkMs: 100 }),
      DeviceError,
      "not ended after 0.1 s",
    );
    assertEquals(error.reason, "unfit");
    // The kernels that keep rows have a limit of their own.
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter?.requestDevice();
    assert(device);
    const pipelines = new Pipelines(doctored(device, hanging));
    await assertRejects(() => pipelines.compile(new Deadline(50)), TimeoutError, "compiling the kernels");
    device.destroy();
  },
});

Deno.test("webgpu: a deadline passes on what comes in time, and leaves no timer", async () => {
  const deadline = new Deadline(50);
  assertEquals(await deadline.wait("this", Promise.resolve(7)), 7);
  await assertRejects(() => deadline.wait("this", Promise.reject(new RangeError("no"))), RangeError, "no");
  deadline.check("this");
  const late = new Deadline(0);
  await new Promise((resolve) => setTimeout(resolve, 2));
  await assertRejects(
    () => late.wait("that", new Promise<never>(() => {})),
    TimeoutError,
    "that had not ended",
  );
  await assertRejects(() => Promise.resolve().then(() => late.check("that")), TimeoutError);
});

/** The view of a process in which some drivers are hidden; it loads an engine from a file. */
async function stateWith(env: Record<string, string>, path: string): Promise<GraphicsState> {
  const program = fileURLToPath(new URL("../../../testing/webgpu_states.ts", import.meta.url));
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--allow-read", "--v8-flags=--expose-gc", program, path],
    env,
    stdin: "null",
  }).output();
  // Deno may abort at the very end, when it has computed on a software device.
  assert(stdout.length > 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const HIDDEN = { VK_ICD_FILENAMES: "/nonexistent", VK_DRIVER_FILES: "/nonexistent" };
/** Machines, as far as drivers can be hidden from a process. */
const MACHINES: Record<string, Record<string, string>> = {
  "all drivers": {},
  "no Vulkan driver": HIDDEN,
  "no driver": { ...HIDDEN, DENO_WEBGPU_BACKEND: "vulkan" },
};

/** A file that an engine was saved to on `webgpu`, or on another backend where there is no device. */
async function savedEngine(): Promise<string> {
  await using live = await DynamicAttention.create({
    query: [[1]],
    key: [[1]],
    value: [[2]],
    backend: GPU.ignore ? "array" : "webgpu",
  });
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, await live.save());
  return path;
}

Deno.test("webgpu: whatever drivers a machine has, there is an answer or a reason", async (t) => {
  const path = await savedEngine();
  for (const [machine, env] of Object.entries(MACHINES)) {
    await t.step(machine, async () => {
      const { isFound, description, attempts: [first, second], loaded, isLetGo } = await stateWith(env, path);
      console.log(`  ${description}; ${first.error ?? "it answers"}; ${Math.round(first.ms)} ms`);
      assert(loaded);
      if (first.error === undefined) {
        assertEquals([first.answer, second.answer, isLetGo], [2, 2, true]);
        assertEquals(loaded.backend, GPU.ignore ? "array" : "webgpu");
      } else {
        const reason = isFound ? `${description}; it is refused: unfit, ` : description;
        assert(first.error.includes(`but ${reason}`), first.error);
        assertEquals(first.error.includes("it is refused"), isFound);
        assertEquals(second.error, first.error);
        assert(loaded.backend !== "webgpu");
        if (isFound && !GPU.ignore) assert(loaded.reason.includes("it is refused: unfit, "), loaded.reason);
      }
      if (machine === "no driver") assertEquals(isFound, false);
    });
  }
  await Deno.remove(path);
});
