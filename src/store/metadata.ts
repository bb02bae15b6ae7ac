/**
 * Numbers and names in the string map of a snapshot. A number is written as the text that gives its exact
 * bits back, and only that text is read.
 */

import { describe, FormatError } from "../base/errors.ts";
import type { JsonValue } from "../base/json.ts";

/** A number as text: the shortest decimal that is this float64, "Infinity" or "-0". */
export function writeNumber(number: number): string {
  return Object.is(number, -0) ? "-0" : String(number);
}

/** Reads and checks the entries of a map. */
export class MetadataReader {
  readonly #operation: string;
  readonly #metadata: Readonly<Record<string, string>>;

  constructor(operation: string, metadata: Readonly<Record<string, string>>) {
    this.#operation = operation;
    this.#metadata = metadata;
  }

  /** Throws when an entry is not among `known`. */
  checkNames(known: readonly string[]): void {
    for (const name of Object.keys(this.#metadata)) {
      if (known.includes(name)) continue;
      throw new FormatError(this.#operation, `metadata has ${describe(name)}`, `only ${known.join(", ")}`);
    }
  }

  /** Whether there is an entry. */
  has(name: string): boolean {
    return this.#text(name) !== undefined;
  }

  /** The data of an entry, written as JSON; undefined where there is none. */
  json(name: string): JsonValue | undefined {
    const text = this.#text(name);
    if (text === undefined) return undefined;
    try {
      const data: JsonValue = JSON.parse(text);
      if (JSON.stringify(data) === text) return data;
    } catch {
      // Such a value is refused below.
    }
    return this.#refuse(name, "JSON");
  }

  /** The text of an entry, which must be one of `choices`. */
  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const found = choices.find((choice) => choice === this.#text(name));
    return found ?? this.#refuse(name, choices.map((choice) => describe(choice)).join(" or "));
  }

  /** The text of an entry, which must match `pattern`. */
  name(name: string, pattern: RegExp): string {
    const text = this.#text(name);
    return text !== undefined && pattern.test(text) ? text : this.#refuse(name, `text like ${pattern}`);
  }

  /** The number of an entry, which must pass `passes`. */
  number(name: string, passes: (number: number) => boolean, expected: string): number {
    const text = this.#text(name);
    const number = Number(text);
    return text === writeNumber(number) && passes(number) ? number : this.#refuse(name, expected);
  }

  #text(name: string): string | undefined {
    return Object.hasOwn(this.#metadata, name) ? this.#metadata[name] : undefined;
  }

  #refuse(name: string, expected: string): never {
    throw new FormatError(this.#operation, `metadata ${name} is ${describe(this.#text(name))}`, expected);
  }
}
