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

/** Names of options, where a setting has another one; what begins a path is replaced. */
const OPTIONS: readonly (readonly [setting: string, option: string])[] = [
  ["layout.", ""],
  ["limits.", "lazyThreshold."],
  ["policy", "onThreshold"],
  ["before", "window.left"],
  ["keepBefore", "window.keepFirst"],
  ["distances", "distanceBias"],
  ["blocks", "blockMask"],
];
/** Longer texts are not shown. */
const LONGEST = 40;

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

/** Settings with a rule of scores as a file has it, in numbers and lists of numbers. */
function comparable({ rule, ...settings }: SavedSettings): object {
  const { scale, softcap, before, after } = rule, others = writeRule(rule)[RULE_NAME];
  return { ...settings, scale, softcap, before, after, ...(others === undefined ? {} : JSON.parse(others)) };
}

function compareFields(asked: object, found: object, differ: Differ, path = ""): void {
  const others = new Map<string, unknown>(Object.entries(found));
  const names = new Set([...Object.keys(asked), ...others.keys()]);
  const own = new Map<string, unknown>(Object.entries(asked));
  for (const name of names) {
    const a = own.get(name), b = others.get(name);
    if (isObject(a) && isObject(b)) compareFields(a, b, differ, `${path}${name}.`);
    else if (!Object.is(a, b)) differ(optionOf(path + name), shown(a, "given"), shown(b, "another one"));
  }
}

function optionOf(path: string): string {
  return OPTIONS.reduce((name, [setting, option]) => {
    return name.startsWith(setting) ? option + name.slice(setting.length) : name;
  }, path);
}

/** A value in a message; what is long is told in words. */
function shown(value: unknown, words: string): unknown {
  if (value === undefined) return "not given";
  return isObject(value) || (typeof value === "string" && value.length > LONGEST) ? words : value;
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
      // An editable mask may have been edited.
      return rows === other.rows && columns === other.columns &&
        (isEditable || data.every((entry, c) => entry === other.data[c]));
    });
  if (!isSame) differ("mask", "another matrix", "the one");
}
