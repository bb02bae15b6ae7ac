// Rules of scores in a file: what is written is read again, and what no engine can have is refused.

import { FormatError } from "../../mod.ts";
import { toBlockBias } from "../../src/numerics/block_bias.ts";
import { toTableBias } from "../../src/numerics/distance_bias.ts";
import type { ScoreRule } from "../../src/numerics/score_rule.ts";
import { MetadataReader } from "../../src/store/metadata.ts";
import { readRule, RULE_NAME, writeRule } from "../../src/store/saved_rule.ts";
import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";

const LAYOUT = { heads: 2, kvHeads: 1, headDim: 4, valueDim: 1 };
const PLAIN = { scale: 1, softcap: 2, before: 3, after: Infinity };

function read(entry: string, plain = PLAIN) {
  return readRule("load", new MetadataReader("load", { [RULE_NAME]: entry }), LAYOUT, plain);
}

const RULES: readonly Omit<ScoreRule, keyof typeof PLAIN>[] = [
  { keepBefore: -2.5, biasFirst: true },
  {
    sinks: Float64Array.of(-Infinity, 0.1),
    distanceBias: { kind: "slopes", slopes: Float64Array.of(0, 1 / 3) },
  },
  { distanceBias: toTableBias(-4, 1, Float32Array.of(0.1, -Infinity, 3e38)) },
  {
    distanceBias: toTableBias(7, 2, Float32Array.of(0.1, -Infinity)),
    rotary: { base: 1e4, dims: 2, interleaved: true },
  },
  {
    blocks: toBlockBias({
      ...{ querySize: 0.5, keySize: 128, heads: 2, rows: 1, columns: 2 },
      values: Float32Array.of(0, -Infinity, 1, 2),
    }),
  },
];

Deno.test("every rule is read as it was written", () => {
  for (const rule of RULES) assertEquals(read(writeRule({ ...PLAIN, ...rule })[RULE_NAME]), rule);
});

Deno.test("an engine without such rules writes none", () => {
  assertEquals(writeRule(PLAIN), {});
  assertEquals(readRule("load", new MetadataReader("load", {}), LAYOUT, PLAIN), {});
});

const table = (count: number, bias = 0) => {
  const bytes = new DataView(new ArrayBuffer(4 * count));
  for (let at = 0; at < count; at++) bytes.setFloat32(4 * at, bias, true);
  return btoa(String.fromCharCode(...new Uint8Array(bytes.buffer)));
};
const blocks = { querySize: 1, keySize: 1, heads: 1, rows: 1, columns: 1, values: table(1) };
const FORGED: readonly (readonly [what: string, entry: unknown])[] = [
  ["a list", []],
  ["an unknown field", { other: 1 }],
  ["text for a place", { keepBefore: "1" }],
  ["biases first that are not", { biasBeforeSoftcap: false }],
  ["a sink too few", { sinks: [1] }],
  ["a sink beyond float32", { sinks: [1, 1e39] }],
  ["a slope below 0", { alibi: [1, -1] }],
  ["both slopes and a table", { alibi: [1, 1], distances: { from: 0, heads: 1, values: table(1) } }],
  ["a table from between", { distances: { from: 0.5, heads: 1, values: table(1) } }],
  ["a table of three heads", { distances: { from: 0, heads: 3, values: table(3) } }],
  ["a table of no numbers", { distances: { from: 0, heads: 1, values: "" } }],
  ["a table of half a number", { distances: { from: 0, heads: 1, values: btoa("abc") } }],
  ["a table of NaN", { distances: { from: 0, heads: 1, values: table(1, NaN) } }],
  ["a table that is no base64", { distances: { from: 0, heads: 1, values: "*" } }],
  ["more turned columns than there are", { rotary: { base: 1, dims: 6, interleaved: true } }],
  ["a base of 0", { rotary: { base: 0, dims: 2, interleaved: true } }],
  ["a rotary field too many", { rotary: { base: 1, dims: 2, interleaved: true, more: 1 } }],
  ["blocks of no size", { blocks: { ...blocks, keySize: 0 } }],
  ["blocks of another count", { blocks: { ...blocks, rows: 2 } }],
  ["blocks of infinity", { blocks: { ...blocks, values: table(1, Infinity) } }],
  ["blocks of half a row", { blocks: { ...blocks, rows: 0.5, columns: 2 } }],
];

for (const [what, entry] of FORGED) {
  Deno.test(`refused: ${what}`, () => {
    const error = assertThrows(() => read(JSON.stringify(entry)), FormatError);
    assert(error.message.includes("rule"), error.message);
  });
}

Deno.test("rules that need another one are refused without it", () => {
  assertThrows(
    () => read('{"biasBeforeSoftcap":true}', { ...PLAIN, softcap: 0 }),
    FormatError,
    "with a softcap",
  );
  assertThrows(() => read('{"keepBefore":1}', { ...PLAIN, before: Infinity }), FormatError, "with a window");
});
