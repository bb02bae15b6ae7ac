/**
 * The settings of an engine as a folder holds them, and whether those that are asked for are the same.
 */

import { InputError } from "../base/errors.ts";
import type { EngineProblem } from "../engine/options.ts";
import type { EngineRules } from "../engine/engine_snapshot.ts";
import { RULE_NAME, writeRule } from "../store/saved_rule.ts";
import type { SavedMask, SavedSettings } from "../store/snapshot.ts";
import type { Mask } from "../write/mask.ts";
import type { SlotNumbers } from "../write/slot_table.ts";

/** The settings of an engine, or of the options of one. */
export function settingsOf(
  { layout, rule, tolerance, policy, threshold: { limits } }: EngineRules | EngineProblem,
): SavedSettings {
  return { layout, rule, tolerance, policy, limits };
}

/** The settings that a snapshot holds. */
export function settingsOfSnapshot(
  { layout, rule, tolerance, policy, limits }: SavedSettings,
): SavedSettings {
  return { layout, rule, tolerance, policy, limits };
}

/** A mask of matrices as a snapshot holds it. */
export function toMatrixMask({ matrices, isEditable }: Mask): SavedMask {
  return { kind: "matrix", matrices, ...(isEditable ? { isEditable } : {}) };
}

/** What is compared of an engine that is there. */
export interface EngineThere {
  readonly settings: SavedSettings;
  readonly mask: SavedMask | null;
  readonly keys: Pick<SlotNumbers, "ids">;
  readonly queries: Pick<SlotNumbers, "ids">;
}

/** Names of options, where a setting has another one. */
const OPTIONS: Readonly<Record<string, string>> = { policy: "onThreshold", limits: "lazyThreshold" };

/** Refuses options that differ from those of the engine that is there. */
export function checkSame(operation: string, problem: EngineProblem, there: EngineThere): void {
  const differ: Differ = (name, asked, found) => {
    throw new InputError(operation, `${name} is ${asked}`, `${found}, as of the engine that is there`);
  };
  compareSettings(settingsOf(problem), there.settings, differ);
  compare("keyIds", kindOfIds(problem.keyIds?.isAuto), kindOfIds(isAuto(there.keys)), differ);
  compare("queryIds", kindOfIds(problem.queryIds?.isAuto), kindOfIds(isAuto(there.queries)), differ);
  compareMask(problem.mask, there.mask, differ);
}

type Differ = (name: string, asked: unknown, found: unknown) => never;

function compare(name: string, asked: unknown, found: unknown, differ: Differ): void {
  if (!Object.is(asked, found)) differ(name, asked, found);
}

/** Compares every field of the settings, however deep, so that a setting that is new is compared, too. */
function compareSettings(asked: SavedSettings, found: SavedSettings, differ: Differ): void {
  if (!asked.limits !== !found.limits) {
    differ(
      "lazyThreshold",
      asked.limits ? "no function" : "a function",
      found.limits ? "none" : "a function",
    );
  }
  compareFields(comparable(asked), comparable(found), differ);
}

/** Settings with a rule of scores as a file has it, since functions and arrays of it are not the same object. */
function comparable({ rule, ...settings }: SavedSettings): object {
  const { sinks: _sinks, distanceBias: _bias, rotary: _rotary, ...plain } = rule;
  return { ...settings, ...plain, [RULE_NAME]: writeRule(rule)[RULE_NAME] };
}

function compareFields(asked: object, found: object, differ: Differ): void {
  const others = new Map<string, unknown>(Object.entries(found));
  const names = new Set([...Object.keys(asked), ...others.keys()]);
  const own = new Map<string, unknown>(Object.entries(asked));
  for (const name of names) {
    const a = own.get(name), b = others.get(name);
    if (isObject(a) && isObject(b)) compareFields(a, b, differ);
    else compare(OPTIONS[name] ?? name, a, b, differ);
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isAuto({ ids }: Pick<SlotNumbers, "ids">): boolean | undefined {
  return ids ? ids.next !== null : undefined;
}

function kindOfIds(isAuto: boolean | undefined): string {
  return isAuto === undefined ? "not given" : isAuto ? '"auto"' : "a list";
}

function compareMask(asked: Mask | null, found: SavedMask | null, differ: Differ): void {
  const kindOf = (isFunction: boolean | undefined) =>
    isFunction === undefined ? "none" : isFunction ? "a function" : "a matrix";
  compare("mask", kindOf(asked?.isFunction), kindOf(found ? found.kind === "function" : undefined), differ);
  if (!asked || found?.kind !== "matrix") return;
  const isEditable = found.isEditable === true;
  compare("editableMask", asked.isEditable, isEditable, differ);
  const isSame = asked.matrices.length === found.matrices.length &&
    asked.matrices.every(({ rows, columns, data }, at) => {
      const other = found.matrices[at];
      // An editable one may have been edited.
      return rows === other.rows && columns === other.columns &&
        (isEditable || data.every((entry, c) => entry === other.data[c]));
    });
  if (!isSame) differ("mask", "another matrix", "the one");
}
