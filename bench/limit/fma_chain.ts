// The limit of a core of this machine: independent chains of multiply-adds in registers, without any memory,
// from WebAssembly and hence 128 bits wide. Fused where the engine has relaxed SIMD, a product and a sum
// elsewhere.

import { time, type TimeLimits, type Timing } from "../stopwatch.ts";
import { moduleOf, op } from "./wasm_module.ts";

/** Enough to cover the latency of two units, few enough to stay in registers beside the two constants. */
const CHAINS = 12;
/** Times the chains are lengthened by in a turn of the loop, so that the loop itself costs nothing. */
const UNROLLED = 4;
const LANES = 4, FLOPS_A_STEP = 2;
/** Turns of one call; code tiers up between calls, so a call is short. */
const TURNS = 20_000;

/** The limit of one thread. */
export interface FmaLimit {
  /** "fused" for relaxed multiply-adds, "separate" for a product and a sum. */
  readonly form: "fused" | "separate";
  /** Milliseconds a call. */
  readonly timing: Timing;
  /** 10⁹ floating-point operations a second, of the median. */
  readonly gflops: number;
}

/**
 * The chains as a module; its function takes the number of turns and returns a sum that depends on every
 * step.
 */
export function fmaModule(form: FmaLimit["form"]): Uint8Array<ArrayBuffer> {
  const turns = 0, factor = 1, summand = 2, firstChain = 3;
  const chains = Array.from({ length: CHAINS }, (_, at) => firstChain + at);
  // x → x·f + s with f below 1 stays bounded.
  const step = (chain: number) =>
    form === "fused"
      ? [op.localGet(chain), op.localGet(factor), op.localGet(summand), op.f32x4RelaxedMadd]
      : [op.localGet(chain), op.localGet(factor), op.f32x4Mul, op.localGet(summand), op.f32x4Add];
  const steps = Array.from({ length: UNROLLED }, () =>
    chains.flatMap((chain) => [
      ...step(chain),
      op.localSet(chain),
    ])).flat();
  const body = [
    ...[op.f32Const(0.5), op.f32Splat, op.localSet(factor)],
    ...[op.f32Const(1), op.f32Splat, op.localSet(summand)],
    op.loop,
    ...steps,
    ...[op.localGet(turns), op.i32Const(-1), op.i32Add, op.localTee(turns), op.branchIf],
    op.end,
    op.localGet(chains[0]),
    ...chains.slice(1).flatMap((chain) => [op.localGet(chain), op.f32x4Add]),
    op.f32x4ExtractLane(0),
  ];
  return moduleOf(2 + CHAINS, body.flat());
}

/** Measures one thread; run it in several at once for more. */
export async function measureFmaLimit(limits: TimeLimits): Promise<FmaLimit> {
  const fused = fmaModule("fused");
  const form = WebAssembly.validate(fused) ? "fused" : "separate";
  const { instance } = await WebAssembly.instantiate(form === "fused" ? fused : fmaModule(form));
  const run = instance.exports.run as (turns: number) => number;
  let sink = 0;
  const timing = await time(() => void (sink += run(TURNS)), limits);
  if (!Number.isFinite(sink)) {
    throw new Error("measureFmaLimit: the chains grew, expected them to stay bounded");
  }
  const flops = TURNS * UNROLLED * CHAINS * LANES * FLOPS_A_STEP;
  return { form, timing, gflops: flops / timing.median / 1e6 };
}
