/**
 * Completions, words and type errors of a notebook, by Deno's language server.
 *
 * Invariant: a server that is slow, or cannot start, costs an answer its best part and no more; nothing of the notebook runs.
 */

import { lineTable, placeAt } from "../cell/source_map.ts";
import type { ParsedCell } from "../cell/parser.ts";
import { NotebookText } from "./notebook_text.ts";
import { LanguageServer, type LanguageServerOptions } from "./server.ts";

/** A way to go on. */
export interface Suggestion {
  readonly text: string;
  /** As "method", "property", "function", …; "" where nothing is known. */
  readonly type: string;
  /** The place in the cell where the text begins. */
  readonly start: number;
}

/** A mistake in the types of a cell. */
export interface TypeMistake {
  readonly line: number;
  readonly column: number;
  readonly code: number;
  readonly message: string;
}

const KINDS: Readonly<Record<number, string>> = {
  2: "method",
  3: "function",
  5: "property",
  6: "variable",
  7: "class",
  8: "interface",
  9: "module",
  10: "property",
  13: "enum",
  14: "keyword",
  17: "path",
  19: "path",
  21: "constant",
};
/** A name that two cells declare is no mistake in a notebook. */
const ALLOWED = new Set([2451, 2300, 2440, 2395, 2528, 6133, 1375, 1378]);

/** An answer waits this long for a server that may still be starting. */
const ASLEEP_MS = 300;

/** Asks a language server that starts with the first question. */
export class Language implements AsyncDisposable {
  readonly #options: LanguageServerOptions;
  readonly #notebook = new NotebookText();
  readonly #uri: string;
  #server: Promise<LanguageServer | null> | null = null;
  #version = 0;
  #isAwake = false;
  #isStarting = false;

  constructor(options: LanguageServerOptions) {
    this.#options = options;
    this.#uri = new URL("attune-notebook.ts", options.root).href;
  }

  /** A cell has run. */
  add(code: string, cell: ParsedCell): void {
    this.#notebook.add(code, cell);
  }

  /** How the text at a place of a cell may go on, the best first; null when there is no answer in time. */
  async complete(code: string, place: number, timeoutMs: number): Promise<Suggestion[] | null> {
    const answer = await this.#within(timeoutMs, async () => {
      const { server, position, before } = await this.#open(code, place);
      const list = await server?.ask("textDocument/completion", {
        textDocument: { uri: this.#uri },
        position,
      });
      return { items: itemsOf(list), before };
    });
    if (!answer) return null;
    const starts = lineTable(code);
    return answer.items.map((item) => ({
      text: item.textEdit?.newText ?? item.insertText ?? item.label.replace(/\?$/, ""),
      type: KINDS[item.kind ?? 0] ?? "",
      start: startOf(item, answer.before, starts) ?? -1,
    }));
  }

  /** The documentation of the name at a place, as Markdown; null where there is none. */
  async hover(code: string, place: number, timeoutMs: number): Promise<string | null> {
    return await this.#within(timeoutMs, async () => {
      const { server, position } = await this.#open(code, place);
      const answer = await server?.ask("textDocument/hover", { textDocument: { uri: this.#uri }, position });
      const contents = (answer as { contents?: { value?: unknown } } | null)?.contents;
      return typeof contents?.value === "string" && contents.value.trim() !== "" ? contents.value : null;
    });
  }

  /** The mistakes in the types of a cell. */
  async check(code: string, timeoutMs: number): Promise<TypeMistake[]> {
    const found = await within(timeoutMs, async () => {
      const { server, before } = await this.#open(code, 0);
      const report = await server?.ask("textDocument/diagnostic", { textDocument: { uri: this.#uri } });
      const { items = [] } = (report ?? {}) as { items?: Diagnostic[] };
      return items.filter(({ severity, range, code }) =>
        severity === 1 && range.start.line >= before && !ALLOWED.has(Number(code))
      ).map(({ range, code, message }) => ({
        line: range.start.line - before + 1,
        column: range.start.character + 1,
        code: Number(code),
        message,
      }));
    });
    return found ?? [];
  }

  /** Ends the server. */
  async [Symbol.asyncDispose](): Promise<void> {
    const server = await this.#server;
    await server?.[Symbol.asyncDispose]();
  }

  /** A server that has not answered yet takes seconds to start: nobody waits for it. */
  async #within<T>(milliseconds: number, work: () => Promise<T>): Promise<T | null> {
    if (this.#isAwake) return await within(milliseconds, work);
    // Questions asked meanwhile would only delay it.
    if (this.#isStarting) return null;
    this.#isStarting = true;
    return await within(ASLEEP_MS, async () => {
      const answer = await work();
      this.#isAwake = true;
      return answer;
    });
  }

  async #open(code: string, place: number) {
    const { text, before } = this.#notebook.with(code);
    const isFirst = this.#server === null;
    this.#server ??= LanguageServer.start(this.#options).catch(() => null);
    const server = await this.#server, version = ++this.#version;
    const document = { uri: this.#uri, version };
    if (isFirst) {
      server?.tell("textDocument/didOpen", { textDocument: { ...document, languageId: "typescript", text } });
    } else server?.tell("textDocument/didChange", { textDocument: document, contentChanges: [{ text }] });
    const { line, column } = placeAt(lineTable(code), place);
    return { server, before, position: { line: before + line - 1, character: column - 1 } };
  }
}

interface Position {
  readonly line: number;
  readonly character: number;
}

interface Diagnostic {
  readonly range: { readonly start: Position };
  readonly severity?: number;
  readonly code?: unknown;
  readonly message: string;
}

interface Item {
  readonly label: string;
  readonly kind?: number;
  readonly sortText?: string;
  readonly insertText?: string;
  readonly textEdit?: { readonly newText: string; readonly range?: { readonly start: Position } };
}

function itemsOf(list: unknown): Item[] {
  const items = Array.isArray(list) ? list : (list as { items?: unknown } | null)?.items;
  if (!Array.isArray(items)) return [];
  const sortKey = ({ sortText, label }: Item) => `${sortText ?? ""}\0${label}`;
  return (items as Item[]).toSorted((a, b) => sortKey(a) < sortKey(b) ? -1 : 1);
}

function startOf({ textEdit }: Item, before: number, starts: readonly number[]): number | null {
  const start = textEdit?.range?.start;
  return start ? (starts[start.line - before] ?? 0) + start.character : null;
}

async function within<T>(milliseconds: number, work: () => Promise<T>): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), milliseconds);
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
