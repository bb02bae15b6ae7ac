/**
 * The config of a cluster: the value "config" of its log, written once and never changed.
 */

import { describe, FormatError, InputError } from "../base/errors.ts";
import { isCount } from "../base/lists.ts";
import { takeOptions } from "../base/names.ts";
import {
  readScoreRule,
  RULE_OPTIONS,
  type RuleOptions,
  toScoreRule,
  writeScoreRule,
} from "../durable/score_rules.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import type { ScoreRule } from "../numerics/score_rule.ts";
import { ClusterError, Damage } from "./cluster_error.ts";
import { hasMaskEdits, type Scoring, stateColumns } from "./exact_sums.ts";
import { readJson, writeJson } from "./json_value.ts";
import { LARGEST_VALUE, type LogSession } from "./log.ts";
import {
  InitialMask,
  type MaskBlock,
  type NamedMask,
  readInitialMask,
  shownMask,
  toInitialMask,
  writeInitialMask,
} from "./initial_mask.ts";
import { toIds } from "./ids.ts";
import { ruleOptionsOf } from "./rule_shape.ts";

/**
 * The shape of a cluster, which is fixed when it is made. The rules of scores are those of one engine, and so are
 * their options: `causal`, `window`, `alibi`, `distanceBias`, `rotary`, `blockMask`, `sinks` and
 * `biasBeforeSoftcap`. A table of distances is a list, or a function that is asked once. All rules together
 * take 60 kB at most, some 11,000 numbers of tables. Where a rule looks at positions, every key and every query
 * has one.
 */
export interface ClusterShape extends RuleOptions {
  /** d, numbers of a key of one head. */
  readonly dim: number;
  /** dv, numbers of a value of one head. */
  readonly valueDim: number;
  /**
   * P, the number of partitions, 1 to 1,024; 16 unless given. A key with its value lies in partition hash(id)
   * mod P, so P cannot be changed afterwards. A partition takes 4 million keys at most.
   */
  readonly partitions?: number;
  /** H, query heads; 1 unless given. */
  readonly heads?: number;
  /** Hkv, key and value heads, a divisor of H; H unless given. */
  readonly kvHeads?: number;
  /** Multiplies q·k; 1 / √d unless given. */
  readonly scale?: number;
  /** c in c·tanh(s/c), which caps scores; 0, the default, is none. */
  readonly softcap?: number;
  /**
   * Whether pairs of standing queries and keys have a mask, which the edit "setMask" changes; "heads" if it
   * may say something of one head. false unless given. Every pair may attend until something else is said of
   * it.
   */
  readonly editableMask?: boolean | "heads";
  /**
   * The mask of pairs that are named by their ids, as the option `mask` of one engine is of rows: a matrix, a
   * list of H matrices, or a function, which is asked once. A key has its entries whenever it comes, and
   * pairs that are not named may attend. It cannot be changed, unless `editableMask` is given, too. Rules and
   * mask take 60 kB together.
   */
  readonly mask?: NamedMask;
  /** Hosts that hold each partition, 1 to 8, as far as there are as many; 1 unless given. */
  readonly replicas?: number;
}

/** The shape of a cluster that is there: with all that was left out, and its rules in their shortest form. */
export type MadeShape =
  & RuleOptions
  & Pick<ClusterShape, "editableMask" | "mask">
  & Required<Omit<ClusterShape, keyof RuleOptions | "editableMask" | "mask">>;

/** A checked shape, and the name that the cluster got when it was made. */
export interface ClusterConfig {
  readonly cluster: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly scoring: Scoring;
}

const FIELDS: readonly (keyof ClusterShape)[] = [
  "dim",
  "valueDim",
  "partitions",
  "heads",
  "kvHeads",
  "scale",
  "softcap",
  "replicas",
  "editableMask",
  "mask",
  ...RULE_OPTIONS,
];
/** The key of the value. */
export const CONFIG = "config";
/**
 * That of a cluster without rules, which programs before rules can read, of one with rules, and of one with a
 * mask that is given, or differs by head.
 */
const PLAIN_VERSION = 1, RULED_VERSION = 2, MASKED_VERSION = 3;
/** Longer texts of shapes are cut off in messages. */
const LONGEST_TEXT = 400;
const MOST_PARTITIONS = 1024, MOST_REPLICAS = 8, MOST_COLUMNS = 65_536, LARGEST_SCALE = 2 ** 127;
/** The most numbers of a query's state over a partition, so that it fits into one message. */
const MOST_STATE = 60_000;

/** Numbers of a key with its value. */
export function rowColumns(layout: HeadLayout): number {
  return keyColumns(layout) + valueColumns(layout);
}

/** Refuses the formats of rows that engines take: every replica of a partition must have the rows that the log has. */
export function refuseStorage(operation: string, options: unknown, name: string): void {
  if (typeof options !== "object" || options === null || !Object.hasOwn(options, "storage")) return;
  const expected =
    "none, since a cluster keeps keys and values as float32; a single or durable engine takes it";
  throw new InputError(operation, `${name} is given`, expected);
}

/** Checks a shape. */
export function toConfig(operation: string, shape: ClusterShape, cluster: string): ClusterConfig {
  const config = toRuledConfig(operation, shape, cluster, {
    ruleOf: (given, layout, scaling) => {
      const options = Object.fromEntries(RULE_OPTIONS.map((name) => [name, given[name]]));
      return toScoreRule(operation, layout, scaling, options);
    },
    maskOf: (given, heads) => toInitialMask(operation, given, toIds, heads),
  });
  const { length } = encodeConfig(config);
  if (length <= LARGEST_VALUE) return config;
  const what = config.scoring.initialMask === undefined ? "the rules take" : "the rules and the mask take";
  throw new InputError(operation, `${what} ${length} bytes`, `${LARGEST_VALUE} at most, tables included`);
}

/** Reads the parts of a shape that are written otherwise than they are given. */
interface PartReaders {
  readonly ruleOf: (
    given: RuleOptions,
    layout: HeadLayout,
    scaling: { readonly scale: number; readonly softcap: number },
  ) => ScoreRule | null;
  /** @param heads The heads by which masks may differ. */
  readonly maskOf: (given: unknown, heads: number) => MaskBlock;
}

/** Checks a shape but for its rules and its mask, which `readers` give. */
function toRuledConfig(
  operation: string,
  shape: ClusterShape,
  cluster: string,
  { ruleOf, maskOf }: PartReaders,
): ClusterConfig {
  refuseStorage(operation, shape, "create.storage");
  const given = takeOptions(operation, shape, FIELDS, "create field");
  const whole = (name: keyof ClusterShape, value: unknown, most: number): number => {
    if (isCount(value) && value > 0 && value <= most) return value;
    throw new InputError(
      operation,
      `create.${name} is ${describe(value)}`,
      `a whole number from 1 to ${most}`,
    );
  };
  const headDim = whole("dim", given.dim, MOST_COLUMNS);
  const valueDim = whole("valueDim", given.valueDim, MOST_COLUMNS);
  const partitions = whole("partitions", orElse(given.partitions, 16), MOST_PARTITIONS);
  const replicas = whole("replicas", orElse(given.replicas, 1), MOST_REPLICAS);
  const heads = whole("heads", orElse(given.heads, 1), MOST_COLUMNS);
  const kvHeads = whole("kvHeads", orElse(given.kvHeads, heads), MOST_COLUMNS);
  if (heads % kvHeads !== 0) {
    throw new InputError(operation, `create.kvHeads is ${kvHeads}`, `a divisor of ${heads} (heads)`);
  }
  const layout = { heads, kvHeads, headDim, valueDim };
  if (rowColumns(layout) > MOST_COLUMNS || queryColumns(layout) > MOST_COLUMNS) {
    const widest = Math.max(rowColumns(layout), queryColumns(layout));
    throw new InputError(operation, `a row has ${widest} numbers`, `${MOST_COLUMNS} at most`);
  }
  if (stateColumns(layout) > MOST_STATE) {
    throw new InputError(
      operation,
      `the state of a query has ${stateColumns(layout)} numbers`,
      `${MOST_STATE} at most (heads × (valueDim + 3))`,
    );
  }
  const { scale = 1 / Math.sqrt(headDim), softcap = 0 } = given;
  if (typeof scale !== "number" || !(Math.abs(scale) <= LARGEST_SCALE)) {
    throw new InputError(operation, `create.scale is ${describe(scale)}`, "a finite number of float32 range");
  }
  if (typeof softcap !== "number" || !(softcap >= 0 && softcap <= LARGEST_SCALE)) {
    throw new InputError(
      operation,
      `create.softcap is ${describe(softcap)}`,
      "a finite number that is not negative",
    );
  }
  const rule = ruleOf(given, layout, { scale, softcap });
  const isPlain = rule === null || writeScoreRule(rule) === null;
  const masking = toMasking(operation, given, heads, maskOf);
  return {
    ...{ cluster, partitions, replicas },
    scoring: { layout, scale, softcap, ...(isPlain ? {} : { rule }), ...masking },
  };
}

/** The masks of a shape. */
function toMasking(
  operation: string,
  { editableMask = false, mask }: ClusterShape,
  heads: number,
  maskOf: PartReaders["maskOf"],
): Partial<Scoring> {
  if (typeof editableMask !== "boolean" && editableMask !== "heads") {
    const expected = 'a boolean or "heads"';
    throw new InputError(operation, `create.editableMask is ${describe(editableMask)}`, expected);
  }
  const block = mask === undefined ? null : maskOf(mask, heads), isMaskFixed = editableMask === false;
  if (isMaskFixed && block === null) return {};
  const differs = editableMask === "heads" || (block !== null && block.matrices.length > 1);
  const maskHeads = differs ? heads : 1;
  return {
    isMasked: true,
    ...(isMaskFixed ? { isMaskFixed } : {}),
    ...(maskHeads > 1 ? { maskHeads } : {}),
    ...(block === null ? {} : { initialMask: new InitialMask(block, maskHeads) }),
  };
}

function orElse(value: unknown, otherwise: number): unknown {
  return value === undefined ? otherwise : value;
}

/**
 * Writes the config of a new cluster, or checks that there is one of the same shape already; returns what is
 * there.
 */
export async function makeConfig(
  operation: string,
  session: LogSession,
  wanted: ClusterConfig,
): Promise<ClusterConfig> {
  await session.put(CONFIG, encodeConfig(wanted), { revision: 0 });
  const found = await readConfig(operation, session);
  if (found === null) throw new ClusterError(operation, "damaged", "the log gives no config back");
  const there = shapeText(found), expected = shapeText(wanted);
  if (there === expected) return found;
  const shown = (text: string) => text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
  const detail = `the log holds a cluster of the shape ${shown(there)}, expected ${shown(expected)}`;
  throw new ClusterError(operation, "mismatch", detail);
}

/**
 * The config; null if no cluster was made.
 *
 * @throws {ClusterError} "mismatch" for a config of another version, "damaged" for one that is not whole.
 */
export async function readConfig(operation: string, session: LogSession): Promise<ClusterConfig | null> {
  const value = await session.get(CONFIG);
  if (!value?.value) return null;
  const json = readJson(operation, CONFIG, value.value);
  const { version, cluster, partitions, replicas, heads, kvHeads, headDim, valueDim, scale, softcap } = json;
  if (version !== PLAIN_VERSION && version !== RULED_VERSION && version !== MASKED_VERSION) {
    const detail = `config has version ${describe(version)}, expected 1, 2 or 3`;
    throw new ClusterError(operation, "mismatch", detail);
  }
  const damaged = (detail: string, cause?: unknown) =>
    new ClusterError(operation, "damaged", `config of the log is not whole: ${detail}`, [], { cause });
  if (typeof cluster !== "string" || cluster === "") throw damaged("it has no name of the cluster");
  const editableMask = json.masks ?? false;
  const shape = {
    dim: headDim,
    valueDim,
    partitions,
    heads,
    kvHeads,
    scale,
    softcap,
    replicas,
    editableMask,
    ...(json.mask === undefined ? {} : { mask: json.mask }),
  };
  const absent = Object.entries(shape).find(([, value]) => value === undefined);
  if (absent) throw damaged(`it has no ${absent[0]}`);
  try {
    return toRuledConfig(operation, shape as unknown as ClusterShape, cluster, {
      ruleOf: (_, layout, scaling) => {
        const isMasked = editableMask !== false || json.mask !== undefined;
        if (version === PLAIN_VERSION || (json.rule === undefined && isMasked)) return null;
        return readScoreRule(operation, json.rule, layout, scaling);
      },
      maskOf: readInitialMask,
    });
  } catch (cause) {
    if (cause instanceof Damage) throw damaged(cause.message, cause);
    const isBad = cause instanceof InputError || cause instanceof FormatError;
    throw isBad ? damaged(`${cause.actual}, expected ${cause.expected}`, cause) : cause;
  }
}

function encodeConfig(config: ClusterConfig): Uint8Array<ArrayBuffer> {
  const { cluster, partitions, replicas, scoring } = config,
    { layout, scale, softcap, rule, isMasked } = scoring;
  const masks = maskEdits(config), mask = scoring.initialMask?.block;
  const isNew = masks === "heads" || mask !== undefined;
  const version = isNew ? MASKED_VERSION : rule === undefined && !isMasked ? PLAIN_VERSION : RULED_VERSION;
  const ruled = {
    ...(rule === undefined ? {} : { rule: writeScoreRule(rule) }),
    ...(masks === false ? {} : { masks }),
    ...(mask === undefined ? {} : { mask: writeInitialMask(mask) }),
  };
  return writeJson({ version, cluster, partitions, replicas, ...layout, scale, softcap, ...ruled });
}

/** The option `editableMask` of a cluster. */
function maskEdits({ scoring }: ClusterConfig): boolean | "heads" {
  if (!hasMaskEdits(scoring)) return false;
  return (scoring.maskHeads ?? 1) > 1 ? "heads" : true;
}

/** The shape of a cluster, with all that was left out when it was made. */
export function shapeOf(config: ClusterConfig): MadeShape {
  const { partitions, replicas, scoring: { layout, scale, softcap, rule, initialMask } } = config;
  const { headDim, valueDim, heads, kvHeads } = layout, editableMask = maskEdits(config);
  return {
    ...{ dim: headDim, valueDim, partitions, heads, kvHeads, scale, softcap, replicas },
    ...(rule === undefined ? {} : ruleOptionsOf(rule)),
    ...(editableMask === false ? {} : { editableMask }),
    ...(initialMask === undefined ? {} : { mask: shownMask(initialMask.block) }),
  };
}

/** The shape as text, the same for the same shape. */
export function shapeText(config: ClusterConfig): string {
  const { partitions, replicas, scoring: { layout, scale, softcap, rule, initialMask } } = config;
  const { headDim: dim, valueDim, heads, kvHeads } = layout, editableMask = maskEdits(config);
  const shape = { dim, valueDim, partitions, heads, kvHeads, scale, softcap, replicas };
  const rules = rule === undefined ? {} : { rules: writeScoreRule(rule) };
  const mask = initialMask === undefined ? {} : { mask: writeInitialMask(initialMask.block) };
  return JSON.stringify({ ...shape, ...rules, ...(editableMask === false ? {} : { editableMask }), ...mask });
}

/** The partition of a key: a hash of its id (FNV-1a with the last mixing of MurmurHash3) modulo P. */
export function partitionOf(id: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (const byte of ENCODER.encode(id)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions;
}

const ENCODER = new TextEncoder();

/** Subjects and addresses. */
export const QUERY_SUBJECT = "query";
/** The subject of a partition. */
export function keySubject(partition: number): string {
  return `log.${partition}`;
}
