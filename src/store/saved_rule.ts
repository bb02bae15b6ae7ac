/**
 * The rules of scores that only some engines have, as one entry of a snapshot's metadata, which is left out
 * where an engine has none of them: JSON with the fields
 *
 *     keepBefore          a number              sinks      H numbers, null for no sink
 *     biasBeforeSoftcap   true                  alibi      H slopes
 *     rotary              { base, dims, interleaved }
 *     blocks              { querySize, keySize, heads, rows, columns, values }: values as those of distances
 *     distances           { from, heads, values }: a table as base64 of its float32 numbers, little-endian
 */

import { describe, FormatError } from "../base/errors.ts";
import type { JsonValue } from "../base/json.ts";
import { type BlockBias, toBlockBias } from "../numerics/block_bias.ts";
import { type DistanceBias, toTableBias } from "../numerics/distance_bias.ts";
import type { HeadLayout } from "../numerics/head_layout.ts";
import type { Rotary } from "../numerics/rotary.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import type { MetadataReader } from "./metadata.ts";

/** The rules beside the scale, the softcap and the window. */
export type RuleExtras = Omit<ScoreRule, "scale" | "softcap" | "before" | "after">;

/** The name of the entry. */
export const RULE_NAME = "rule";

/** The entry of a rule; none where there is nothing to say. */
export function writeRule(
  { keepBefore, biasFirst, sinks, distanceBias, rotary, blocks }: ScoreRule,
): Record<string, string> {
  const fields = {
    ...(keepBefore === undefined ? {} : { keepBefore }),
    ...(biasFirst ? { biasBeforeSoftcap: true } : {}),
    ...(sinks ? { sinks: Array.from(sinks, (sink) => sink === -Infinity ? null : sink) } : {}),
    ...(distanceBias?.kind === "slopes" ? { alibi: Array.from(distanceBias.slopes) } : {}),
    ...(distanceBias?.kind === "table" ? { distances: writeTable(distanceBias) } : {}),
    ...(rotary ? { rotary: { base: rotary.base, dims: rotary.dims, interleaved: rotary.interleaved } } : {}),
  };
  if (blocks) Object.assign(fields, { blocks: writeBlocks(blocks) });
  return Object.keys(fields).length === 0 ? {} : { [RULE_NAME]: JSON.stringify(fields) };
}

function writeTable({ from, heads, values }: Extract<DistanceBias, { kind: "table" }>) {
  return { from, heads, values: encode(values) };
}

function writeBlocks({ largest: _, values, ...blocks }: BlockBias) {
  return { ...blocks, values: encode(values) };
}

function encode(values: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((bias, at) => bytes.setFloat32(4 * at, bias, true));
  let letters = "";
  for (let at = 0; at < bytes.byteLength; at++) letters += String.fromCharCode(bytes.getUint8(at));
  return btoa(letters);
}

/** Reads the entry of an engine. */
export function readRule(
  operation: string,
  reader: MetadataReader,
  { heads, headDim }: HeadLayout,
  { before, softcap }: Pick<ScoreRule, "before" | "softcap">,
): RuleExtras {
  const fields = reader.json(RULE_NAME);
  if (fields === undefined) return {};
  const refuse = (what: string, expected: string): never => {
    throw new FormatError(operation, `metadata rule has ${what}`, expected);
  };
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw new FormatError(operation, `metadata rule is ${describe(fields)}`, "an object");
  }
  const known = ["keepBefore", "biasBeforeSoftcap", "sinks", "alibi", "distances", "rotary", "blocks"];
  const { keepBefore, biasBeforeSoftcap, sinks, alibi, distances, rotary, blocks } = fields as Record<
    string,
    JsonValue
  >;
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown !== undefined) refuse(describe(unknown), `only ${known.join(", ")}`);
  if (alibi !== undefined && distances !== undefined) refuse("alibi and distances", "one of them");
  const isNumber = (value: JsonValue): value is number => typeof value === "number" && Number.isFinite(value);
  if (keepBefore !== undefined && !(isNumber(keepBefore) && before < Infinity)) {
    refuse(`keepBefore ${describe(keepBefore)}`, "a finite number, with a window");
  }
  if (biasBeforeSoftcap !== undefined && !(biasBeforeSoftcap === true && softcap > 0)) {
    refuse(`biasBeforeSoftcap ${describe(biasBeforeSoftcap)}`, "true, with a softcap");
  }
  const take = (name: string, list: JsonValue, passes: (value: JsonValue) => boolean): Float64Array => {
    if (!Array.isArray(list) || list.length !== heads || !list.every(passes)) {
      return refuse(`${name} ${describe(list)}`, `${heads} numbers (one per head)`);
    }
    return Float64Array.from(list, (value) => value === null ? -Infinity : value as number);
  };
  const isLogit = (sink: JsonValue) =>
    sink === null || (isNumber(sink) && Number.isFinite(Math.fround(sink)));
  const isSlope = (slope: JsonValue) => isNumber(slope) && slope >= 0 && slope <= 2 ** 60;
  const distanceBias: DistanceBias | undefined = alibi !== undefined
    ? { kind: "slopes", slopes: take("alibi", alibi, isSlope) }
    : distances !== undefined
    ? readTable(distances, heads, refuse)
    : undefined;
  return {
    ...(keepBefore === undefined ? {} : { keepBefore: keepBefore as number }),
    ...(biasBeforeSoftcap === undefined ? {} : { biasFirst: true }),
    ...(distanceBias ? { distanceBias } : {}),
    ...(sinks === undefined ? {} : { sinks: take("sinks", sinks, isLogit) }),
    ...(rotary === undefined ? {} : { rotary: readRotary(rotary, headDim, refuse) }),
    ...(blocks === undefined ? {} : { blocks: readBlocks(blocks, heads, refuse) }),
  };
}

function readRotary(
  rotary: JsonValue,
  headDim: number,
  refuse: (what: string, expected: string) => never,
): Rotary {
  const fields = (typeof rotary === "object" && rotary !== null ? rotary : {}) as Record<string, JsonValue>;
  const { base, dims, interleaved } = fields;
  const isRight = typeof base === "number" && base > 0 && typeof dims === "number" &&
    Number.isInteger(dims) &&
    dims >= 2 && dims % 2 === 0 && dims <= headDim && typeof interleaved === "boolean" &&
    Object.keys(fields).length === 3;
  if (!isRight) {
    return refuse(`rotary ${JSON.stringify(rotary)}`, `a base > 0, even dims ≤ ${headDim}, interleaved`);
  }
  return { base, dims, interleaved };
}

function readBlocks(
  blocks: JsonValue,
  allHeads: number,
  refuse: (what: string, expected: string) => never,
): BlockBias {
  const fields = (typeof blocks === "object" && blocks !== null ? blocks : {}) as Record<string, JsonValue>;
  const { querySize, keySize, heads, rows, columns, values } = fields;
  const expected =
    "{ querySize, keySize, heads, rows, columns, values }, of float32 numbers below Infinity in base64";
  const isSize = (size: JsonValue): size is number =>
    typeof size === "number" && size >= 2 ** -60 && size <= 2 ** 60;
  const isNumber = (count: JsonValue): count is number =>
    typeof count === "number" && Number.isInteger(count) && count > 0;
  const letters = typeof values === "string" ? decode(values) : null;
  const isRight = isSize(querySize) && isSize(keySize) && isNumber(rows) && isNumber(columns) &&
    isNumber(heads) && (heads === 1 || heads === allHeads) &&
    letters?.length === 4 * heads * rows * columns &&
    Object.keys(fields).length === 6;
  if (!isRight || letters === null) return refuse("blocks that are none", expected);
  const numbers = toFloats(letters);
  if (!numbers.every((bias) => bias < Infinity)) return refuse("blocks of no biases", expected);
  return toBlockBias({ querySize, keySize, heads, rows, columns, values: numbers });
}

function toFloats(letters: string): Float32Array {
  const bytes = new DataView(new ArrayBuffer(letters.length));
  for (let at = 0; at < letters.length; at++) bytes.setUint8(at, letters.charCodeAt(at));
  return Float32Array.from({ length: letters.length / 4 }, (_, at) => bytes.getFloat32(4 * at, true));
}

function readTable(
  table: JsonValue,
  heads: number,
  refuse: (what: string, expected: string) => never,
): DistanceBias {
  const { from, heads: own, values } = (typeof table === "object" && table !== null ? table : {}) as Record<
    string,
    JsonValue
  >;
  const letters = typeof values === "string" ? decode(values) : null;
  const expected = "{ from, heads, values }, of float32 numbers below Infinity in base64";
  if (typeof from !== "number" || !Number.isInteger(from) || Math.abs(from) > 2 ** 24) {
    return refuse(`distances from ${describe(from)}`, expected);
  }
  if (letters === null || (own !== 1 && own !== heads)) return refuse("distances of no table", expected);
  const count = letters.length / 4 / own;
  if (!Number.isInteger(count) || count === 0 || count > 2 ** 20) {
    return refuse(`distances of ${letters.length} bytes`, expected);
  }
  const numbers = toFloats(letters);
  if (!numbers.every((bias) => bias < Infinity)) return refuse("distances that are no biases", expected);
  return toTableBias(from, own, numbers);
}

function decode(text: string): string | null {
  try {
    return atob(text);
  } catch {
    return null;
  }
}
