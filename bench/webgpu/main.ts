// Runs the workloads of the benchmark on the graphics adapter of this machine. Prints a table and writes
// bench/webgpu-results.json. On a software device the times mean nothing, and it says so; the counts mean the
// same everywhere.

import { parseArgs } from "node:util";
import { attention } from "../../mod.ts";
import { findAdapter } from "../../src/backends/webgpu/adapter.ts";
import { openDevice } from "../../src/backends/webgpu/device.ts";
import { seededInputs } from "../data.ts";
import type { Shape } from "../workload.ts";
import { measureLimit } from "./device_limit.ts";
import { runPeers } from "./peers.ts";
import { runWorkloads } from "./workloads.ts";

const RESULTS = new URL("../webgpu-results.json", import.meta.url);

if (!await findAdapter()) {
  console.log("No graphics adapter was found here.");
  Deno.exit(1);
}
const gpu = await openDevice();
const { quick } = parseArgs({ args: Deno.args, options: { quick: { type: "boolean" } } }).values;
const isQuick = quick || gpu.isSoftware;
const size = isQuick ? 512 : 4096;
const shape: Shape = { queryCount: size, keyCount: size, headDim: 64, valueDim: 64 };
const repetitions = isQuick ? 5 : 30;

console.log(`${gpu.adapterName}, m = n = ${size}, d = dv = 64`);
if (gpu.isSoftware) console.log("A program on the processor: its times mean nothing for a graphics device.");
const limit = await measureLimit(gpu);
const giga = (number: number) => (number / 1e9).toPrecision(3);
console.log(`limit: ${giga(limit.flopsPerSecond)} GFLOP/s, ${giga(limit.bytesPerSecond)} GB/s copied\n`);

const lines = await runWorkloads(shape, gpu, repetitions);
console.table(Object.fromEntries(lines.map(({ name, milliseconds, gpuMilliseconds, operations, traffic }) => {
  const seconds = (Number.isNaN(gpuMilliseconds) ? milliseconds : gpuMilliseconds) / 1000;
  return [name, {
    "ms": milliseconds.toPrecision(3),
    "device ms": gpuMilliseconds.toPrecision(3),
    "GFLOP/s": giga(operations / seconds),
    "of limit": `${(100 * operations / seconds / limit.flopsPerSecond).toPrecision(2)} %`,
    ...traffic,
  }];
})));

const { query, key, value } = seededInputs(shape);
const matrix = (data: Float32Array) => ({ data, shape: [size, 64] as const });
const truth = await attention({
  query: matrix(query),
  key: matrix(key),
  value: matrix(value),
  backend: "array",
});
const peers = await runPeers(shape, truth.data, repetitions);
for (const { name, milliseconds, trouble } of peers) {
  console.log(
    `${name}: ${milliseconds === null ? `does not run (${trouble})` : `${milliseconds.toPrecision(3)} ms`}`,
  );
}

const { adapterName, isSoftware, arithmetic } = gpu;
const results = { adapterName, isSoftware, arithmetic, shape, limit, lines, peers };
await Deno.writeTextFile(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
Deno.exit(0); // peers leave things open
