// Values of every kind, with which everything public is called.

import { DynamicAttention } from "../mod.ts";
import { detached, KEY, VALUE } from "./bad_calls.ts";

/** Makes a value afresh, so that no call sees what another one did to it. */
export type Value = readonly [name: string, make: () => unknown];

function throwing(): unknown {
  const fail = () => {
    throw new Error("the caller's own");
  };
  return new Proxy({}, {
    get: fail,
    has: fail,
    ownKeys: fail,
    getOwnPropertyDescriptor: fail,
    getPrototypeOf: fail,
  });
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
}

function cutShort(): unknown {
  const buffer = new ArrayBuffer(12, { maxByteLength: 12 }), view = new Float32Array(buffer, 0, 3);
  buffer.resize(4);
  return view;
}

function circular(): unknown {
  const list: unknown[] = [1, 2];
  list[0] = list;
  return list;
}

/** It is made once, since that takes long. */
const DEEP = (() => {
  let list: unknown = [1];
  for (let depth = 0; depth < 50_000; depth++) list = [list];
  return list;
})();

const NUMBERS = [
  0,
  -0,
  1,
  2,
  -1,
  0.5,
  7,
  5e-324,
  1e-46,
  1e-40,
  3.4028234663852886e38,
  1e39,
  -1e39,
  1e308,
  -1e308,
]
  .concat(2 ** 31, 2 ** 32, 2 ** 53, 2 ** 64, NaN, Infinity, -Infinity);

const ARRAYS = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array]
  .flatMap((Type) => [new Type(0), Type.of(1), Type.of(0, 1), Type.of(1, 0, 1), Type.of(200, 1, 0)]);

const FLOATS = [Float32Array, Float64Array].flatMap((Type) => [
  new Type(0),
  Type.of(1, 2),
  Type.of(1, 2, 3),
  Type.of(1, NaN, 3),
  Type.of(1e39, 0),
  Type.of(-Infinity, 1, 2),
]);

/** Anything at all. */
export const VALUES: readonly Value[] = [
  ...NUMBERS.map((number): Value => [`${Object.is(number, -0) ? "-0" : number}`, () => number]),
  ...["", "0", "1", "key", "array", "auto", "toString", "__proto__", "\0", "x".repeat(1e5)].map((
    text,
  ): Value => [
    `"${text.slice(0, 9)}"`,
    () => text,
  ]),
  ...[undefined, null, true, false, 0n, 1n, -(2n ** 70n), 10n ** 400n].map((value): Value => [
    `${value}`.slice(0, 12),
    () => value,
  ]),
  ...[...ARRAYS, ...FLOATS].map((array): Value => [
    `${array.constructor.name} ${array.length}: ${array}`,
    () => array.slice(),
  ]),
  ["a symbol", () => Symbol("s")],
  ["a well-known symbol", () => Symbol.iterator],
  ["a function", () => () => 1],
  ["a function that throws", () => () => {
    throw new Error("the caller's own");
  }],
  ["a class", () => class {}],
  ["a boxed number", () => Object(1)],
  ["a boxed string", () => Object("123")],
  ["a date", () => new Date(0)],
  ["a pattern", () => /x/],
  ["a map", () => new Map([["position", 1], ["head", 0]])],
  ["a set", () => new Set([0, 1])],
  ["a promise", () => Promise.resolve([1, 2, 3])],
  ["an error", () => new RangeError("x")],
  ["a weak map", () => new WeakMap()],
  ["a generator", () =>
    (function* () {
      yield 1;
    })()],
  ["an ArrayBuffer", () => new ArrayBuffer(12)],
  ["a DataView", () => new DataView(new ArrayBuffer(12))],
  ["a detached array", () => detached(3)],
  ["a shared array", () => new Float32Array(new SharedArrayBuffer(12))],
  ["bigints", () => BigInt64Array.of(1n, 2n, 3n)],
  ["unsigned bigints", () => BigUint64Array.of(1n, 2n)],
  ["an empty object", () => ({})],
  ["an object of no prototype", () => Object.create(null)],
  ["an object of a typed array's prototype", () => Object.create(Float32Array.prototype)],
  ["an object of an array's prototype", () => Object.create(Array.prototype)],
  ["an engine's prototype", () => DynamicAttention.prototype],
  ["an object with any name", () => ({ anything: 1 })],
  [
    "an object with names of all",
    () => ({ kind: "insert", key: KEY, value: VALUE, slot: 0, head: 0, position: 1 }),
  ],
  ["an empty list", () => []],
  ["numbers", () => [1, 2]],
  ["three numbers", () => [1, 2, 3]],
  ["slots", () => [1, 0]],
  ["rows", () => [[1, 2, 3], [4, 5, 6]]],
  ["rows of truth", () => [[true, false], [false, true]]],
  ["ragged rows", () => [[1, 2, 3], [4, 5]]],
  ["holes", () => new Array(3)],
  ["many holes", () => new Array(2 ** 32 - 1)],
  ["strings", () => ["1", "2", "3"]],
  ["numbers of many kinds", () => [1, "2", 3n]],
  ["NaN among numbers", () => [1, NaN, 3]],
  ["numbers beyond float32", () => [1e39, 2, 3]],
  ["an array-like", () => ({ length: 3, 0: 1, 1: 2, 2: 3 })],
  ["an array-like of slots", () => ({ length: 2, 0: 1, 1: 0 })],
  ["an array-like of no entries", () => ({ length: 3 })],
  ["an array-like of a vast length", () => ({ length: 2 ** 40, 0: 1 })],
  ["an array-like as long as lists are", () => ({ length: 2 ** 32 - 1, 0: 1 })],
  ["an array-like of a negative length", () => ({ length: -1 })],
  ["an array-like of half a length", () => ({ length: 0.5 })],
  ["an array-like of a length in words", () => ({ length: "3", 0: 1, 1: 2, 2: 3 })],
  ["data and shape", () => ({ data: [1, 2, 3], shape: [1, 3] })],
  ["data and a vast shape", () => ({ data: [], shape: [0, 2 ** 40] })],
  ["data and a shape that overflows", () => ({ data: [1], shape: [2 ** 52, 2 ** 52] })],
  ["data and a wrong shape", () => ({ data: [1, 2, 3], shape: [2, 3] })],
  ["data and shape and more", () => ({ data: [1, 2, 3], shape: [1, 3], offset: 1 })],
  ["no data and shape", () => ({ data: null, shape: [1, 3] })],
  ["what contains itself", circular],
  ["lists in lists in lists", () => DEEP],
  ["a proxy of a list", () => new Proxy([1, 2, 3], {})],
  ["a proxy of a typed array", () => new Proxy(Float32Array.of(1, 2, 3), {})],
  ["a proxy that throws", throwing],
  ["a revoked proxy", revoked],
  ["a getter that throws", () => ({
    get length() {
      throw new Error("the caller's own");
    },
  })],
  ["numbers that count down", () => {
    let length = 3;
    return {
      get length() {
        return length--;
      },
      0: 1,
      1: 2,
      2: 3,
    };
  }],
  ["arguments", () =>
    (function (..._: number[]) {
      return arguments;
    })(1, 2, 3)],
];

/** More of it, for engines: memory that changes its size, classes of a caller's own, rows and matrices by their parts. */
export const MORE_VALUES: readonly Value[] = [
  ...VALUES,
  ["a view of a buffer that grows", () => new Float32Array(new ArrayBuffer(12, { maxByteLength: 64 }))],
  [
    "a view of shared memory that grows",
    () => new Float32Array(new SharedArrayBuffer(8, { maxByteLength: 64 }), 0, 2),
  ],
  ["a view that its buffer is too short for", cutShort],
  [
    "a view of WebAssembly's memory",
    () => new Float32Array(new WebAssembly.Memory({ initial: 1 }).buffer, 0, 2),
  ],
  ["floats of 16 bits", () => Float16Array.of(1, 2, 3)],
  ["a float array of a class of its own", () => new (class extends Float32Array {})([1, 2, 3])],
  [
    "a float array that says another length",
    () => Object.defineProperties(Float32Array.of(1, 2), { length: { value: 3 }, buffer: { value: null } }),
  ],
  ["a list of a class of its own", () => (class extends Array<number> {}).of(1, 2, 3)],
  ["a list with an iterator of its own", () =>
    Object.assign([1, 2, 3], {
      [Symbol.iterator]: () => {
        throw new Error("the caller's own");
      },
    })],
  ["a list of which an entry throws", () =>
    Object.defineProperty([1, 2, 3], 1, {
      get() {
        throw new Error("the caller's own");
      },
    })],
  ["a frozen list", () => Object.freeze([1, 2, 3])],
  ["an object that is a number", () => ({ valueOf: () => 1, [Symbol.toPrimitive]: () => 1 })],
  ["an object that throws as text", () => ({
    toString() {
      throw new Error("the caller's own");
    },
  })],
  ["an object whose class throws", () => ({
    get constructor() {
      throw new Error("the caller's own");
    },
  })],
  ["a sparse row", () => ({ indices: [1], values: [2] })],
  ["a sparse row beyond the end", () => ({ indices: [9], values: [2] })],
  ["a sparse row of NaN", () => ({ indices: [NaN], values: [2] })],
  ["a sparse row of which a part is missing", () => ({ indices: [0] })],
  ["a sparse matrix", () => ({ data: [1], indices: [0], indptr: [0, 1], shape: [1, 3] })],
  ["a strided row", () => ({ data: [1, 2, 3, 4, 5], shape: [1, 3], strides: [1, 2] })],
  ["a strided row that goes back", () => ({ data: [1, 2, 3], shape: [1, 3], strides: [0, -1], offset: 2 })],
  ["a strided row that leaves its data", () => ({ data: [1, 2, 3], shape: [1, 3], strides: [1, 2] })],
];

/** The error that a call throws or rejects with; null if there is none. */
export async function outcome(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return null;
  } catch (error) {
    return error;
  }
}
