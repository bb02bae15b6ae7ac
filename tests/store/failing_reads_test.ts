// Matrices and tensors whose code throws at each of their reads: what is thrown is typed.

import { encodeNpz } from "../../src/store/npz.ts";
import { decodeNpy, encodeNpy, encodeSafetensors, toMatrix, toNpy } from "../../src/store/mod.ts";
import { assert } from "../../testing/assert.ts";
import { refuseEachRead } from "../../testing/failing_reads.ts";

const NUMBERS = new Float32Array([1, 2]);

const CALLS: Readonly<Record<string, readonly [run: (...args: never[]) => unknown, ...args: unknown[]]>> = {
  toNpy: [toNpy, { data: NUMBERS, shape: [1, 2] }],
  encodeNpy: [encodeNpy, { data: NUMBERS, shape: [1, 2] }],
  encodeNpz: [encodeNpz, { a: { data: NUMBERS, shape: [1, 2] } }, { compressed: true }],
  encodeSafetensors: [encodeSafetensors, { a: { data: NUMBERS, shape: [1, 2] } }, { b: "c" }],
  toMatrix: [toMatrix, decodeNpy(encodeNpy({ data: NUMBERS, shape: [1, 2] }))],
};

for (const [name, [run, ...args]] of Object.entries(CALLS)) {
  Deno.test(`${name}: an argument that cannot be read at some moment is refused by type`, async () => {
    assert(await refuseEachRead(run, args) > 0);
  });
}
