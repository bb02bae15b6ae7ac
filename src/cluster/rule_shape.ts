/**
 * Rules of scores as the options that give them.
 *
 * Invariant: a cluster that is made with these options has the same rules, to the bit of every number.
 */

import type { RuleOptions } from "../durable/score_rules.ts";
import type { BlockBias } from "../numerics/block_bias.ts";
import type { DistanceBias } from "../numerics/distance_bias.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";

/** The options of a rule; those that it has not are left out. */
export function ruleOptionsOf(rule: ScoreRule): RuleOptions {
  const { before, after, keepBefore, distanceBias, biasFirst, sinks, rotary, blocks } = rule;
  const left = before < Infinity ? { left: before } : {};
  const keepFirst = keepBefore === undefined ? {} : { keepFirst: keepBefore };
  return {
    ...(after < Infinity ? { causal: { offset: after } } : {}),
    ...(before < Infinity ? { window: { ...left, ...keepFirst } } : {}),
    ...(distanceBias === undefined ? {} : distanceOptions(distanceBias)),
    ...(blocks === undefined ? {} : { blockMask: blockOptions(blocks) }),
    ...(rotary === undefined ? {} : { rotary: { ...rotary } }),
    ...(sinks === undefined ? {} : { sinks: Array.from(sinks) }),
    ...(biasFirst ? { biasBeforeSoftcap: true } : {}),
  };
}

function distanceOptions(bias: DistanceBias): RuleOptions {
  if (bias.kind === "slopes") return { alibi: Array.from(bias.slopes) };
  const { from, heads, count, values } = bias;
  const lists = Array.from({ length: heads }, (_, head) => {
    return Array.from(values.subarray(head * count, (head + 1) * count));
  });
  return { distanceBias: { from, values: heads === 1 ? lists[0] : lists } };
}

function blockOptions({ querySize, keySize, heads, rows, columns, values }: BlockBias) {
  const entries = Array.from({ length: heads }, (_, head) => {
    return Array.from({ length: rows }, (_, row) => {
      const at = (head * rows + row) * columns;
      return Array.from(values.subarray(at, at + columns));
    });
  });
  return { size: [querySize, keySize] as const, entries: heads === 1 ? entries[0] : entries };
}
