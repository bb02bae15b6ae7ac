/**
 * The answers to questions about the cursor: the meaning of a name, and how it may go on.
 *
 * Invariant: no code of the notebook runs for it.
 */

import { type CellNames, namesOf } from "../cell/names.ts";
import { completionAt, cursorIn, expressionAt, toPoints, toUnits } from "../cell/cursor.ts";
import type { ParsedCell } from "../cell/parser.ts";
import type { Description } from "../prelude/introspection.ts";
import type { JsonObject } from "../protocol/message.ts";
import type { ChildKernel } from "./child.ts";
import type { Language, Suggestion, TypeMistake } from "../language/language.ts";
import { Documentation } from "./documentation.ts";
import { importNames, isImport } from "./import_names.ts";

/** A kernel that computes does not answer; then there is nothing to show. */
const ANSWER_MS = 1000;
/** An answer waits this long for the language server, which takes seconds to start, and is quick then. */
const LANGUAGE_MS = 1500;
/** A cell waits so long for what is said of its types. */
const CHECK_MS = 20_000;
/** No person reads more. */
const MATCHES = 500;

const BRACKETS = /(\bimport\s+(type\s+)?([\w$]+\s*,\s*)?|\b(const|let|var)\s+)\{[^{}=;]*$/;

/** Knows the names that cells have brought. */
export class Inspection {
  readonly #child: ChildKernel;
  readonly #packages: Readonly<Record<string, string>>;
  readonly #documentation = new Documentation();
  readonly #imported = new Map<string, { specifier: string; name: string }>();
  readonly #documented = new Map<string, string>();
  readonly #language: Language;
  readonly #folder: string;

  constructor(
    child: ChildKernel,
    packages: Readonly<Record<string, string>>,
    language: Language,
    folder: string,
  ) {
    this.#child = child;
    this.#packages = packages;
    this.#language = language;
    this.#folder = folder;
  }

  /** Takes note of the names of a cell that was run. */
  learn(code: string, cell: ParsedCell): void {
    this.#language.add(code, cell);
    const names: CellNames = namesOf(cell);
    for (const [name, origin] of names.imported) this.#imported.set(name, origin);
    for (const [name, text] of names.documented) this.#documented.set(name, text);
  }

  /** The content of an inspect_reply. */
  async inspect({ code, cursor_pos: cursor, detail_level: level }: JsonObject): Promise<JsonObject> {
    const text = String(code ?? "");
    const place = toUnits(text, cursorIn(text, cursor));
    const { expression, end } = expressionAt(text, place);
    if (expression === "") return { status: "ok", found: false, data: {}, metadata: {} };
    const [own, hover] = await Promise.all([
      this.#about(expression, level === 1),
      this.#language.hover(text, Math.max(0, end - 1), LANGUAGE_MS),
    ]);
    // The documentation is not repeated.
    const said = hover === null || own.hasWords || VARIABLE.test(hover) ? "" : plainOf(hover);
    // For an undeclared name the server answers that it is undeclared.
    const words = said === "any" ? "" : said;
    const type = TYPED.exec(hover ?? "")?.[1];
    // The source of a built-in says nothing, so it is left out where anything else is known.
    const known = words === "" ? own.parts : own.parts.filter((part) => !NATIVE.test(part));
    const parts = type === undefined || own.hasWords || level === 1
      ? known
      : withType(known, expression, type);
    const shown = [...parts, words].filter(Boolean).join("\n\n");
    const data = shown === "" ? {} : { "text/plain": shown };
    return { status: "ok", found: shown !== "", data, metadata: {} };
  }

  /** The content of a complete_reply. */
  async complete({ code, cursor_pos: cursor }: JsonObject): Promise<JsonObject> {
    const text = String(code ?? "");
    const end = cursorIn(text, cursor);
    const place = toUnits(text, end);
    const { object, prefix, within } = completionAt(text, place);
    const [answer, suggested, modules] = await Promise.all([
      within === "literal"
        ? null
        : this.#child.link.ask({ type: "names", expression: object, own: within === "key" }, ANSWER_MS),
      within === "key" ? null : this.#language.complete(asStatement(text, place), place, LANGUAGE_MS),
      isImport(text, place) ? importNames(this.#folder, this.#packages) : [],
    ]);
    const names = Array.isArray(answer?.names) ? answer.names.map(String) : [];
    const before = text.slice(0, place), begin = place - prefix.length;
    const matches = within === "code"
      ? mergeMatches(names, suggested ?? [], object !== null, begin, before)
      : within === "key"
      ? names.filter((name) => name.startsWith(prefix)).map((text) => ({ text, type: "", start: begin }))
      : [
        ...(suggested ?? []).filter(({ text, start }) =>
          start !== -1 && start < place && text.startsWith(before.slice(start))
        ),
        ...modules.filter((text) => text.startsWith(prefix)).map((text) => ({
          text,
          type: "path",
          start: begin,
        })),
      ];
    const start = matches[0]?.start ?? place - prefix.length;
    const fitting = matches.filter((match) => match.start === start);
    // The language server names a thing once for each module that has it.
    const shown = [...new Map(fitting.map((match) => [match.text, match])).values()].slice(0, MATCHES);
    const range = { start: toPoints(text, start), end };
    return {
      status: "ok",
      matches: shown.map((match) => match.text),
      cursor_start: range.start,
      cursor_end: end,
      metadata: {
        _jupyter_types_experimental: shown.map((match) => ({ ...range, text: match.text, type: match.type })),
      },
    };
  }

  /** The mistakes in the types of a cell; none where the language server is too slow. */
  check(code: string): Promise<TypeMistake[]> {
    return this.#language.check(code, CHECK_MS);
  }

  async #about(expression: string, isDetailed: boolean): Promise<{ parts: string[]; hasWords: boolean }> {
    const value = await this.#describe(expression);
    const words = await this.#words(expression, value);
    const hasWords = words !== null;
    if (!value) return { parts: hasWords ? [words] : [], hasWords };
    if (isDetailed && value.type === "function") {
      return { parts: [value.text, words ?? ""].filter(Boolean), hasWords };
    }
    // The signature is in the documentation already.
    const isSaid = hasWords && value.type === "function";
    return { parts: [isSaid ? "" : describe(expression, value), words ?? ""].filter(Boolean), hasWords };
  }

  async #describe(expression: string): Promise<Description | null> {
    const answer = await this.#child.link.ask({ type: "describe", expression }, ANSWER_MS);
    return answer?.description as Description | null ?? null;
  }

  /** The comment above a name: in the cell, or in the module that it comes from. */
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

/** What the language server says of a variable, and its type where it is short and says something. */
const VARIABLE = /^```\w*\n(const|let|var) /,
  TYPED = /^```\w*\n(?:const|let|var) [^:\n]+: ((?!any\n)[^\n{]{1,160})\n/;
const NATIVE = /^function \w*\([^)]*\)$/;
const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** Names that are there, and what the language server knows; what everything has, as `__proto__`, comes last. */
function mergeMatches(
  names: readonly string[],
  suggested: readonly Suggestion[],
  isMember: boolean,
  start: number,
  before: string,
): Suggestion[] {
  const prefix = before.slice(start);
  const fitting = suggested.map((item) => item.start === -1 ? { ...item, start } : item)
    .filter(({ text, start }) => text.toLowerCase().startsWith(before.slice(start).toLowerCase()));
  // Names within a string, such as that of an import, mean nothing.
  if (fitting.length > 0 && fitting[0].start < start) return fitting;
  // Between the brackets of an import, or of a pattern, are names of what is imported or taken apart.
  if (fitting.length > 0 && BRACKETS.test(before)) return fitting;
  const types = new Map(fitting.map(({ text, type }) => [text, type]));
  const there = names.filter((name) => name.startsWith(prefix) && NAME.test(name))
    .map((text): Suggestion => ({ text, type: types.get(text) ?? "", start }));
  const known = new Set(there.map(({ text }) => text));
  const more = fitting.filter(({ text }) => !known.has(text) && NAME.test(text));
  const rank = ({ text, type }: Suggestion) => text.startsWith("__") ? 2 : isMember && type === "" ? 1 : 0;
  return [...there, ...more].toSorted((a, b) => rank(a) - rank(b) || (a.text < b.text ? -1 : 1));
}

/** A text in which an `import("…` that is being written is a statement: of that the language server completes the path. */
function asStatement(text: string, place: number): string {
  const found = /\bimport\((\s*["'`][^"'`]*)$/.exec(text.slice(0, place));
  if (!found) return text;
  const blank = text.slice(0, found.index).replace(/[^\n]/g, " ");
  return `${blank}import ${found[1].replace("`", '"')}${text.slice(place)}`;
}

/** A description whose first line says the type that was declared. */
function withType([first = "", ...rest]: readonly string[], expression: string, type: string): string[] {
  const [head, ...lines] = first.split("\n"), typed = `${expression}: ${type}`;
  const value = /^[^=]*: [^=]* = (.*)$/.exec(head)?.[1];
  return [[value === undefined ? typed : `${typed} = ${value}`, ...lines].join("\n"), ...rest];
}

/** Markdown without its fences. */
function plainOf(markdown: string): string {
  return markdown.replace(/^```\w*\n|^```$/gm, "").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").trim();
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
