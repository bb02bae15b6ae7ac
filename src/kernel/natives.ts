/**
 * The names of the runtime, as they were before the first cell. A cell that declares `const Promise` or `let Deno` hides that
 * name from all code of the process, modules too; so the code beside the cells imports such names from here.
 *
 * Invariant: nothing that a cell declares, and no function that it puts into a namespace such as `JSON`, is seen here.
 */

export const {
  AbortController,
  AbortSignal,
  addEventListener,
  Array,
  ArrayBuffer,
  Boolean,
  BroadcastChannel,
  clearImmediate,
  clearInterval,
  clearTimeout,
  console,
  crypto,
  DataView,
  Date,
  decodeURIComponent,
  Deno,
  DOMException,
  encodeURIComponent,
  Error,
  Int32Array,
  Map,
  Number,
  performance,
  Promise,
  Proxy,
  queueMicrotask,
  ReadableStream,
  Set,
  setImmediate,
  setTimeout,
  SharedArrayBuffer,
  String,
  SuppressedError,
  Symbol,
  SyntaxError,
  TextDecoder,
  TextEncoder,
  TypeError,
  Uint8Array,
  URL,
  WebAssembly,
  Worker,
  WritableStream,
} = globalThis;

/** The namespace that cells see, to be changed for them. */
export const SharedAtomics: typeof globalThis.Atomics = globalThis.Atomics;

/** The object that holds the names of the runtime. */
export const globalObject: typeof globalThis = globalThis;

/** `eval` by another name: it sees the names of the notebook, and none of the module that calls it. */
export const evaluate: (code: string) => unknown = eval;

export const Atomics = copyOf(globalThis.Atomics),
  JSON = copyOf(globalThis.JSON),
  Math = copyOf(globalThis.Math),
  Object = copyOf(globalThis.Object),
  Reflect = copyOf(globalThis.Reflect);

/** A namespace whose functions stay what they are. */
function copyOf<T extends object>(namespace: T): T {
  const { create, freeze, getOwnPropertyDescriptors } = globalThis.Object;
  return freeze(create(null, getOwnPropertyDescriptors(namespace)));
}
