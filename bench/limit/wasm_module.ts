// A WebAssembly module with one function, put together byte by byte: as much of the format as a chain of
// multiply-adds needs.

/** Value types. */
export const I32 = 0x7f, V128 = 0x7b;

/** Instructions, as bytes. */
export const op = {
  loop: [0x03, 0x40],
  branchIf: [0x0d, 0x00],
  end: [0x0b],
  i32Add: [0x6a],
  f32Splat: [0xfd, ...unsigned(0x13)],
  f32x4Add: [0xfd, ...unsigned(0xe4)],
  f32x4Mul: [0xfd, ...unsigned(0xe6)],
  f32x4RelaxedMadd: [0xfd, ...unsigned(0x105)],
  f32x4ExtractLane: (lane: number) => [0xfd, ...unsigned(0x1f), lane],
  localGet: (local: number) => [0x20, ...unsigned(local)],
  localSet: (local: number) => [0x21, ...unsigned(local)],
  localTee: (local: number) => [0x22, ...unsigned(local)],
  i32Const: (value: number) => [0x41, ...signed(value)],
  f32Const: (value: number) => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)],
} as const;

const F32 = 0x7d, FUNCTION = 0x60, MAGIC = [0x00, 0x61, 0x73, 0x6d], VERSION = [0x01, 0x00, 0x00, 0x00];
const SECTION = { type: 1, function: 3, export: 7, code: 10 };

/** A module that exports `run(i32): f32` with further locals of type v128 and the given body, without its `end`. */
export function moduleOf(vectorLocals: number, body: readonly number[]): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode("run");
  const locals = vector([[...unsigned(vectorLocals), V128]]);
  const code = [...locals, ...body, ...op.end];
  return Uint8Array.from([
    ...MAGIC,
    ...VERSION,
    ...section(SECTION.type, vector([[FUNCTION, ...vector([[I32]]), ...vector([[F32]])]])),
    ...section(SECTION.function, vector([[0]])),
    ...section(SECTION.export, vector([[...unsigned(name.length), ...name, 0x00, 0x00]])),
    ...section(SECTION.code, vector([[...unsigned(code.length), ...code]])),
  ]);
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function vector(entries: readonly (readonly number[])[]): number[] {
  return [...unsigned(entries.length), ...entries.flat()];
}

/** LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return [...bytes, value];
}

/** LEB128 of a 32-bit integer with a sign. */
export function signed(value: number): number[] {
  const bytes: number[] = [];
  for (;;) {
    const low = value & 0x7f;
    value >>= 7;
    // Done once the rest is nothing but the sign, which the sixth bit repeats.
    if ((value === 0 && (low & 0x40) === 0) || (value === -1 && (low & 0x40) !== 0)) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}
