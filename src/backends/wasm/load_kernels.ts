/**
 * Loads the kernels. Their bytes are a module of the library, which is imported on demand, so that loading
 * needs no permission and no network.
 */

/** The two builds of the kernels: with relaxed SIMD (fused multiply-add), or with plain 128-bit SIMD. */
export type KernelBuild = "relaxed" | "simd128";

/** The exported functions, which `assembly/kernels.ts` describes. Jobs and targets are addresses. */
export interface Kernels {
  /** The address from which on memory is free. */
  heapBase(): number;
  /** Empties the active rows of blocks `first` to `end` − 1 for a build. */
  clear(job: number, first: number, end: number): void;
  /** Adds the terms to active rows that are being built. */
  build(job: number, first: number, end: number): void;
  /**
   * Unpacks the keys of the terms from number `first` on to a list of addresses and rows at `target`, and makes them
   * those of the job.
   */
  unpackKeys(job: number, first: number, target: number): void;
  /** Likewise the values, which are widened. */
  unpackValues(job: number, first: number, target: number): void;
  /** Ends a build. */
  settle(job: number, first: number, end: number): void;
  /** Adds the terms to active rows or subtracts them; returns 1 if it flagged a row as untrusted, else 0. */
  patch(job: number, first: number, end: number): number;
  /**
   * `patch` and then `read`, a block at a time, of rows that are all active; returns 1 if it flagged a row, plus
   * 2 if one with mass has a shift of `steep` or more either way.
   */
  patchAndRead(
    job: number,
    first: number,
    end: number,
    target: number,
    stride: number,
    steep: number,
  ): number;
  /** Scores of the terms with one block, eight numbers a term, of the rows whose bits are in `rows`. */
  score(job: number, block: number, rows: number, target: number): void;
  /**
   * For blocks `first` to `end` − 1 and each term, the largest that the score of a row is above its offset; blocks `stride`
   * bytes apart.
   */
  largestLogs(
    job: number,
    first: number,
    end: number,
    offsets: number,
    target: number,
    stride: number,
  ): void;
  /** Weights of the terms in the active rows of one block under their shifts, eight numbers a term. */
  weigh(job: number, block: number, target: number): void;
  /**
   * Outputs of the rows of blocks `first` to `end` − 1, dv numbers each, rows `stride` bytes apart; returns 1
   * when a row with mass has a shift of `steep` or more either way.
   */
  read(job: number, first: number, end: number, target: number, stride: number, steep: number): number;
  /**
   * Takes the states of rows of a tile, whose bits are in `rows`, for certificates; returns the odd ones.
   * `assembly/taken_rows.ts` has more.
   */
  takeRows(
    job: number,
    tile: number,
    first: number,
    count: number,
    rows: number,
    measured: number,
    steep: number,
  ): number;
  /**
   * Replaces what changed keys have in the sums of rows of a tile; returns the odd ones. A function of
   * WebAssembly takes numbers alone, so that there are nine of them.
   */
  addChanges(
    job: number,
    tile: number,
    first: number,
    blocks: number,
    rows: number,
    count: number,
    changes: number,
    pairs: number,
    question: number,
  ): number;
  /** Writes a − b, `count` numbers, to `target`; returns ‖a − b‖. */
  difference(a: number, b: number, target: number, count: number): number;
  /** Lists the offsets of those of `count` numbers that are not 0 in a block of queries; returns how many. */
  listMoved(delta: number, count: number, list: number): number;
  /** Bounds of the rows of a tile; returns those whose sums are worn. */
  boundRows(job: number, tile: number, count: number, question: number): number;
  /** 1 when a multiply-add rounds once here, 0 when it rounds twice. */
  isFused(): number;
  /** 32 · `rounds` independent multiply-adds of four lanes, for benches. */
  multiplyAddLimit(rounds: number): number;
}

/** The largest memory that the modules may share, in pages of 64 KiB. */
const MAXIMUM_PAGES = 65536;

// Modules of one function: (v128, v128, v128) → v128 with f32x4.relaxed_madd, and () → v128 with i32x4.splat.
const RELAXED_PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123],
  ...[3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 253, 133, 2, 11],
);
const SIMD_PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123],
  ...[3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 17, 11],
);

/** The best build that runs here; null if there is no SIMD. */
export function supportedBuild(): KernelBuild | null {
  if (WebAssembly.validate(RELAXED_PROBE)) return "relaxed";
  return WebAssembly.validate(SIMD_PROBE) ? "simd128" : null;
}

/** A memory for the kernels, which workers can share. */
export function createMemory(pages = 16): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: MAXIMUM_PAGES, shared: true });
}

/** Compiles a build; the module can be sent to workers. */
export async function compileKernels(build: KernelBuild): Promise<WebAssembly.Module> {
  const { RELAXED, SIMD128 } = await import("./module.ts");
  const text = build === "relaxed" ? RELAXED : SIMD128;
  return await WebAssembly.compile(bytesOf(text));
}

/**
 * Decodes base64, with what engines since 2025 have for it if it is there: it takes a hundredth of the time.
 */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const { fromBase64 } = Uint8Array as { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };
  if (fromBase64) return fromBase64.call(Uint8Array, text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

/** Kernels over a memory. */
export async function instantiateKernels(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<Kernels> {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  return exports as unknown as Kernels;
}
