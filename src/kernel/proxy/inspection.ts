/**
 * What a front end shows at the cursor: what a name means, and how it goes on.
 *
 * Invariant: no code of the notebook runs for it.
 */

import { type CellNames, namesOf } from "../cell/names.ts";
import { completionAt, expressionAt, toPoints, toUnits } from "../cell/cursor.ts";
import type { ParsedCell } from "../cell/parser.ts";
import type { Description } from "../prelude/introspection.ts";
import type { JsonObject } from "../protocol/message.ts";
import type { ChildKernel } from "./child.ts";
import { Documentation } from "./documentation.ts";

/** A kernel that computes does not answer; then there is nothing to show. */
const ANSWER_MS = 1000;

/** Knows the names that cells have brought. */
export class Inspection {
  readonly #child: ChildKernel;
  readonly #packages: Readonly<Record<string, string>>;
  readonly #documentation = new Documentation();
  readonly #imported = new Map<string, { specifier: string; name: string }>();
  readonly #documented = new Map<string, string>();

  constructor(child: ChildKernel, packages: Readonly<Record<string, string>>) {
    this.#child = child;
    this.#packages = packages;
  }

  /** Takes note of the names of a cell that was run. */
  learn(cell: ParsedCell): void {
    const names: CellNames = namesOf(cell);
    for (const [name, origin] of names.imported) this.#imported.set(name, origin);
    for (const [name, text] of names.documented) this.#documented.set(name, text);
  }

  /** The content of an inspect_reply. */
  async inspect({ code, cursor_pos: cursor }: JsonObject): Promise<JsonObject> {
    const text = String(code ?? "");
    const expression = expressionAt(text, toUnits(text, Number(cursor ?? text.length)));
    const parts = expression === "" ? [] : await this.#about(expression);
    const shown = parts.join("\n\n");
    const data = shown === "" ? {} : { "text/plain": shown };
    return { status: "ok", found: shown !== "", data, metadata: {} };
  }

  /** The content of a complete_reply. */
  async complete({ code, cursor_pos: cursor }: JsonObject): Promise<JsonObject> {
    const text = String(code ?? "");
    const end = Number(cursor ?? toPoints(text, text.length));
    const place = toUnits(text, end);
    const { object, prefix } = completionAt(text, place);
    const answer = await this.#child.link.ask({ type: "names", expression: object }, ANSWER_MS);
    const names = Array.isArray(answer?.names) ? answer.names.map(String) : [];
    const matches = names.filter((name) => name.startsWith(prefix) && /^[\p{ID_Start}$_]/u.test(name)).sort();
    return {
      status: "ok",
      matches,
      cursor_start: toPoints(text, place - prefix.length),
      cursor_end: end,
      metadata: {},
    };
  }

  async #about(expression: string): Promise<string[]> {
    const value = await this.#describe(expression);
    const words = await this.#words(expression, value);
    if (!value) return words === null ? [] : [words];
    // The signature is in the documentation already.
    return words !== null && value.type === "function"
      ? [words]
      : [describe(expression, value), words ?? ""].filter(Boolean);
  }

  async #describe(expression: string): Promise<Description | null> {
    const answer = await this.#child.link.ask({ type: "describe", expression }, ANSWER_MS);
    return answer?.description as Description | null ?? null;
  }

  /** What was written about a name: in the cell, or in the module that it comes from. */
  async #words(expression: string, value: Description | null): Promise<string | null> {
    const own = this.#documented.get(expression);
    if (own !== undefined) {
      return [value?.type === "function" ? signatureOf(value.text) : "", own].join("\n\n").trim();
    }
    const [first, ...rest] = expression.split(".");
    const origin = this.#imported.get(first);
    const module = origin && this.#addressOf(origin.specifier);
    if (origin && module) {
      const path = [...(origin.name === "*" ? [] : [origin.name]), ...rest];
      if (path.length > 0) return await this.#documentation.of(module, path.join("."));
    }
    return await this.#wordsOfMember(expression, value);
  }

  /** `live.setKey` is a method of the class of `live`, and a value of a class has the words of the class. */
  async #wordsOfMember(expression: string, value: Description | null): Promise<string | null> {
    const dot = expression.lastIndexOf(".");
    const isMethod = value?.type === "function" && dot !== -1;
    const className = isMethod
      ? (await this.#describe(expression.slice(0, dot)))?.className
      : value?.className;
    if (!className || className === "Function") return null;
    const name = isMethod ? `${className}.${expression.slice(dot + 1)}` : className;
    for (const module of this.#modulesWith(className)) {
      const words = await this.#documentation.of(module, name);
      if (words !== null) return words;
    }
    return null;
  }

  /** Where a class may come from: modules that it was imported from, else those of the packages. */
  #modulesWith(className: string): string[] {
    const known = [...this.#imported.values()].filter(({ name }) => name === className)
      .map(({ specifier }) => this.#addressOf(specifier));
    const isBuiltIn = Reflect.has(globalThis, className);
    return [...known, ...(isBuiltIn ? [] : Object.values(this.#packages))].filter((module) =>
      module !== null
    );
  }

  #addressOf(specifier: string): string | null {
    if (Object.hasOwn(this.#packages, specifier)) return this.#packages[specifier];
    return /^(\.{0,2}\/|file:|https?:)/.test(specifier) ? specifier : null;
  }
}

function describe(expression: string, { type, className, text, properties }: Description): string {
  if (type === "function") return signatureOf(text);
  const head = `${expression}: ${className ?? type}`;
  if (type !== "object") return `${head} = ${text.slice(0, 400)}`;
  return [head, ...properties.map(([name, value]) => `  ${name}: ${value}`)].join("\n");
}

/** The head of a function's source: all before its body. */
function signatureOf(source: string): string {
  let depth = 0;
  for (let at = 0; at < source.length; at++) {
    const letter = source[at];
    if ("([".includes(letter)) depth++;
    if (")]".includes(letter)) depth--;
    if (depth === 0 && source.startsWith("=>", at)) return source.slice(0, at + 2);
    if (letter === "{" && depth === 0) return source.slice(0, at).trim();
  }
  return source.slice(0, 400);
}
