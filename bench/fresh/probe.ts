// Runs in a process of its own: what the first use of the library takes. Prints milliseconds as JSON.

/** Not a literal, so that the library is not loaded before the clock starts. */
const LIBRARY = new URL("../../mod.ts", import.meta.url).href;
const QUERIES = 128, KEYS = 256, COLUMNS = 64;

const matrix = (rows: number, size: number) => ({
  data: Float32Array.from({ length: rows * COLUMNS }, (_, at) => Math.sin(size * (at + 1))),
  shape: [rows, COLUMNS] as const,
});
const options = { query: matrix(QUERIES, 1), key: matrix(KEYS, 2), value: matrix(KEYS, 3) };

const start = performance.now();
const { DynamicAttention }: typeof import("../../mod.ts") = await import(LIBRARY);
const imported = performance.now();
const live = await DynamicAttention.create(options);
const created = performance.now();
await live.dispose();
console.log(JSON.stringify({ importMs: imported - start, createMs: created - imported }));
