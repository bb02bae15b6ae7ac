/**
 * The rules of scores for those that keep them without an engine: checked as an engine checks its options, and
 * written as plain data.
 *
 * Invariant: rules that were written and read again are the same, to the bit of every number.
 */

import { describe, FormatError } from "../base/errors.ts";
import type { JsonValue } from "../base/json.ts";
import type { AttentionOptions } from "../engine/option_types.ts";
import { toProblem } from "../engine/options.ts";
import { addRules } from "../engine/rule_options.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import { MetadataReader } from "../store/metadata.ts";
import { readRule, RULE_NAME, writeRule } from "../store/saved_rule.ts";

/** Rules of scores beside the scale and the softcap, as the options of an engine that give them. */
export type RuleOptions = Pick<
  AttentionOptions,
  "biasBeforeSoftcap" | "sinks" | "alibi" | "distanceBias" | "blockMask" | "rotary" | "causal" | "window"
>;

/** The names of {@link RuleOptions}. */
export const RULE_OPTIONS: readonly (keyof RuleOptions)[] = [
  "biasBeforeSoftcap",
  "sinks",
  "alibi",
  "distanceBias",
  "blockMask",
  "rotary",
  "causal",
  "window",
];

/** The factor and the cap of a score. */
type Scaling = Pick<ScoreRule, "scale" | "softcap">;

/**
 * Checks rules.
 *
 * @throws {InputError} As an engine with these options does.
 */
export function toScoreRule(
  operation: string,
  layout: HeadLayout,
  { scale, softcap }: Scaling,
  options: RuleOptions,
): ScoreRule {
  const { heads, kvHeads } = layout,
    noRows = (columns: number) => {
      return { data: new Float32Array(0), shape: [0, columns] as [number, number] };
    };
  const problem = toProblem(operation, {
    ...options,
    ...{ heads, kvHeads, scale, softcap, backend: "array" },
    query: noRows(queryColumns(layout)),
    key: noRows(keyColumns(layout)),
    value: noRows(valueColumns(layout)),
  });
  return problem.extras ? addRules(operation, problem, problem.extras).rule : problem.rule;
}

/** The rules as plain data; null where there is none beside the scale and the softcap. */
export function writeScoreRule(rule: ScoreRule): JsonValue {
  const { before, after } = rule, { [RULE_NAME]: text } = writeRule(rule);
  const fields = {
    ...(before < Infinity ? { before } : {}),
    ...(after < Infinity ? { after } : {}),
    ...(text === undefined ? {} : { others: JSON.parse(text) as JsonValue }),
  };
  return Object.keys(fields).length === 0 ? null : fields;
}

/**
 * Reads rules that were written.
 *
 * @throws {FormatError} When they are none.
 */
export function readScoreRule(
  operation: string,
  data: unknown,
  layout: HeadLayout,
  { scale, softcap }: Scaling,
): ScoreRule {
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw new FormatError(operation, `rule is ${describe(data)}`, "an object");
  }
  const { before = Infinity, after = Infinity, others, ...rest } = data as Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) {
    throw new FormatError(operation, `rule has ${describe(unknown)}`, "before, after and others");
  }
  if (typeof before !== "number" || !(before >= 0)) {
    throw new FormatError(operation, `rule.before is ${describe(before)}`, "a number ≥ 0");
  }
  if (typeof after !== "number" || Number.isNaN(after)) {
    throw new FormatError(operation, `rule.after is ${describe(after)}`, "a number");
  }
  const entry: Record<string, string> = others === undefined ? {} : { [RULE_NAME]: JSON.stringify(others) };
  const extras = readRule(operation, new MetadataReader(operation, entry), layout, { before, softcap });
  return { scale, softcap, before, after, ...extras };
}
