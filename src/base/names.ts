/**
 * Names that a caller writes: names of options and fields, and words of which one is chosen.
 *
 * Invariant: an unknown name is refused, since a misspelt option would otherwise count as left out; the error
 * suggests the nearest known name.
 */

import { describe, InputError } from "./errors.ts";
import { toInputError } from "./lists.ts";

/** Longer names are not compared. */
const LONGEST = 64;

/** The end of an error message, `; did you mean "scale"?`, if a known name is near enough; else "". */
export function didYouMean(given: unknown, known: readonly string[]): string {
  if (typeof given !== "string" || given.length > LONGEST) return "";
  let nearest = "", least = Infinity;
  const word = given.toLowerCase().replace(/ies$/, "y"); // queries
  for (const name of known) {
    const other = name.toLowerCase(), isPart = word.includes(other) || other.includes(word); // is_causal
    const edits = editDistance(word, other);
    const distance = isPart && Math.min(word.length, other.length) > 3 ? Math.min(1, edits) : edits;
    if (distance < least) [nearest, least] = [name, distance];
  }
  const isNear = least <= Math.max(1, Math.floor(nearest.length / 3)) && least < nearest.length;
  return isNear ? `; did you mean ${describe(nearest)}?` : "";
}

/** The least number of insertions, deletions, replacements and swaps of neighbours that make `b` of `a`. */
export function editDistance(a: string, b: string): number {
  let twoBefore: number[] = [], before = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = before[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(replaced, before[j] + 1, row[j - 1] + 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) row[j] = Math.min(row[j], twoBefore[j - 2] + 1);
    }
    [twoBefore, before] = [before, row];
  }
  return before[b.length];
}

/** Throws when `options` is no object, or has another name than those. Messages call it `what`, "causal field". */
export function checkNames(
  operation: string,
  options: object,
  known: readonly string[],
  what = "option",
): void {
  // A list or a map has no names of its own and would count as empty options.
  const isRecord = typeof options === "object" && options !== null && !(Symbol.iterator in options);
  if (!isRecord) {
    const name = what.replace(/ field$/, "");
    const [found, end] = name === what ? [`${what}s are`, ""] : [`${name} is`, ` with ${known.join(", ")}`];
    throw new InputError(operation, `${found} ${describe(options)}`, `an object${end}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const expected = known.length === 1 ? known[0] : `one of ${known.join(", ")}`;
  throw new InputError(
    operation,
    `${what} ${describe(unknown)} is unknown`,
    `${expected}${didYouMean(unknown, known)}`,
  );
}

/**
 * A plain copy of options whose names were checked. Each is read once, so that later checks see the values that
 * are used. What a getter throws is the `cause` of an {@link InputError}.
 */
export function takeOptions<Options extends object>(
  operation: string,
  options: Options,
  known: readonly (keyof Options & string)[],
  what = "option",
): Options {
  try {
    checkNames(operation, options, known, what);
    return readFields(options, known) as Options;
  } catch (cause) {
    throw toInputError(operation, cause);
  }
}

/** A plain copy of some fields, each read once; undefined ones are left out. */
export function readFields<Fields extends object, Name extends keyof Fields & string>(
  from: Fields,
  names: readonly Name[],
): Partial<Pick<Fields, Name>> {
  const read: Partial<Pick<Fields, Name>> = {};
  for (const name of names) {
    const value = from[name];
    if (value !== undefined) read[name] = value;
  }
  return read;
}

/**
 * Checks that `given` is one of `words`. The error message calls it `name` and lists the words.
 */
export function takeWord<Word extends string>(
  operation: string,
  name: string,
  given: unknown,
  words: readonly Word[],
): Word {
  const found = words.find((word) => word === given);
  if (found !== undefined) return found;
  throw new InputError(
    operation,
    `${name} is ${describe(given)}`,
    `${listed(words)}${didYouMean(given, words)}`,
  );
}

/** `"a", "b" or "c"`. */
function listed(words: readonly string[]): string {
  const quoted = words.map((word) => describe(word));
  const last = quoted.pop();
  return quoted.length === 0 ? `${last}` : `${quoted.join(", ")} or ${last}`;
}
