/**
 * Places in what was written, for places in what ran: a cell is rewritten, then its types are taken away and it is printed
 * anew, by the same printer that Deno offers with a source map.
 *
 * Invariant: a place that cannot be found is left out, never guessed.
 */

import { stripTypeScriptTypes } from "node:module";
import { stripVTControlCharacters } from "node:util";
import type { RewrittenCell } from "../cell/rewrite.ts";
import { lineTable, offsetAt, type Place, placeAt, SourceMap } from "../cell/source_map.ts";

/** The text that the stock kernel puts in front of the first line of a cell. */
const PREFIX = "'use strict'; void 0;";
/** Cells of which places can be told, the newest ones. */
const CELLS = 2000;
const FRAME = /attune-cell-(\d+)(?::(\d+):(\d+))?/g;
const FRAME_LINE = /^\s+at .*attune-cell-\d+/;
/** The frames of errors within an error stand further to the right. */
const OUTERMOST = /^ {4}at /;
/** A frame of no function: of the cell itself, or of what was put into it. */
const NAMELESS = /^\s+at (async )?attune-cell-\d+(:\d+:\d+)?$/;
/** The runtime names what it could not take apart by the code that it ran. */
const GUARD = /__attune_kernel__\.guard\(\.\.\.\)/g;
/** Modules of Node with functions of the kernel's have an address that holds their text. */
const BUILTIN = /data:text\/javascript,import%20all%20from%20%22node%3A(\w+)%22[^\s"')]*/g;
/** Lines that are quoted around the one that threw. */
const AROUND = 2, WIDEST = 92;

interface Source {
  readonly code: string;
  readonly rewritten: RewrittenCell;
  label: string;
  map?: SourceMap | null;
}

/** Where a statement begins that threw. */
export interface StatementPlace {
  readonly code: string;
  readonly at: number;
  /** The cell, as people know it. */
  readonly label: string;
}

/** Knows the cells that ran. */
export class Positions {
  readonly #sources = new Map<number, Source>();

  /** Takes note of a cell; `label` is how people know it. */
  add(number: number, code: string, rewritten: RewrittenCell, label: string): void {
    this.#sources.set(number, { code, rewritten, label });
    if (this.#sources.size > CELLS) this.#sources.delete(number - CELLS);
  }

  /** A text in which frames name the cells as people know them. */
  translate(text: string): string {
    if (!text.includes("attune") && !text.includes("import%20all%20from")) return text;
    const named = text.replace(GUARD, "(intermediate value)").replace(BUILTIN, "node:$1");
    return named.replace(FRAME, (_, number: string, line?: string, column?: string) => {
      const source = this.#sources.get(Number(number));
      if (!source) return "<cell>";
      const place = line === undefined ? null : this.#find(source, Number(line), Number(column));
      return `<${source.label}>${place ? `:${place.line}:${place.column}` : ""}`;
    });
  }

  /** A traceback in which the line that threw is quoted; the statement where no frame has a place in a cell. */
  translateTraceback(lines: readonly string[], statement: StatementPlace | null = null): string[] {
    const kept: string[] = [];
    let isAfterFrame = false, first = -1, quoted: string[] | null = null;
    for (const line of lines) {
      const plain = stripVTControlCharacters(line), isFrame = FRAME_LINE.test(plain);
      const found = isFrame ? this.#placeOf(plain) : null;
      // The frame below one of the cell is of a function around its code, in which nobody has written anything.
      const isOwn = isAfterFrame && found !== null && found.isInserted && NAMELESS.test(plain);
      if (isOwn) continue;
      isAfterFrame = isFrame;
      // Of an error that has no place of its own, as of `Promise.any`, the statement is told.
      const isPlace = statement === null || OUTERMOST.test(plain);
      if (isFrame && isPlace && first === -1) first = kept.length;
      if (found && isPlace && quoted === null) {
        quoted = quote(found.code, found.place);
        kept.push(...quoted);
      }
      kept.push(line);
    }
    const translated = (lines: readonly string[]) => lines.map((line) => this.translate(line));
    if (!statement || quoted !== null) return translated(kept);
    const above = first === -1 ? kept : kept.slice(0, first);
    const frames = first === -1 ? [] : kept.slice(first);
    const named = frames.filter((line) => !NAMELESS.test(stripVTControlCharacters(line)));
    const [frame, ...mark] = quoteAt(statement).toReversed();
    return [...translated(above), ...mark.toReversed(), ...translated(named), frame];
  }

  /** The place that a frame of a cell names, with the code that it is in; null where it is not known. */
  #placeOf(line: string): { code: string; place: Place; isInserted: boolean } | null {
    const [found] = line.matchAll(FRAME);
    const source = found?.[2] === undefined ? undefined : this.#sources.get(Number(found[1]));
    if (!source) return null;
    const place = this.#find(source, Number(found[2]), Number(found[3]));
    return place && { code: source.code, place, isInserted: place.isInserted };
  }

  #find(source: Source, line: number, column: number): OriginalPlace | null {
    source.map ??= readMap(source.rewritten.code);
    const place = source.map?.find(line, line === 1 ? column - PREFIX.length : column);
    return place ? originalOf(source, place) : null;
  }
}

/** Null for what the printer cannot read, as JSX. */
function readMap(code: string): SourceMap | null {
  try {
    return SourceMap.read(stripTypeScriptTypes(code, { mode: "transform", sourceMap: true }));
  } catch {
    return null;
  }
}

/** A place in what was written, and whether what stands there in what ran was put in. */
interface OriginalPlace extends Place {
  readonly isInserted: boolean;
}

/** A place in the rewritten cell as one in what was written. */
function originalOf({ code, rewritten }: Source, place: Place): OriginalPlace {
  const at = (offset: number, isInserted: boolean) => ({
    ...placeAt(lineTable(code), Math.min(Math.max(0, offset), code.length)),
    isInserted,
  });
  const offset = offsetAt(lineTable(rewritten.code), place);
  let added = 0;
  for (const insertion of rewritten.insertions) {
    const { text, removed } = insertion, start = insertion.at + added;
    if (start > offset) break;
    if (offset < start + text.length) return at(insertion.at, true);
    added += text.length - removed;
  }
  return at(offset - added, false);
}

/** The lines around the beginning of a statement, and the frame that names it. */
export function quoteAt({ code, at, label }: StatementPlace): string[] {
  const place = placeAt(lineTable(code), at);
  return [...quote(code, place), `    at <${label}>:${place.line}:${place.column}`];
}

/** The lines around a place, with a mark below it. */
export function quote(code: string, { line, column }: Place): string[] {
  const lines = code.split("\n");
  const from = Math.max(1, line - AROUND), to = Math.min(lines.length, line + AROUND);
  const width = String(to).length;
  const quoted: string[] = [];
  for (let at = from; at <= to; at++) {
    const [text, place] = cut(lines[at - 1], at === line ? column : 1);
    quoted.push(`${at === line ? ">" : " "} ${String(at).padStart(width)} | ${text}`);
    if (at === line) quoted.push(`  ${" ".repeat(width)} | ${" ".repeat(place - 1)}^`);
  }
  return quoted;
}

/** The part of a line that fits, around a column, and the column in it: pages wrap longer ones, and the mark misses its place. */
function cut(line: string, column: number): [text: string, column: number] {
  if (line.length <= WIDEST) return [line, column];
  const start = Math.max(0, Math.min(column - 1 - WIDEST / 2, line.length - WIDEST));
  const text = `${start > 0 ? "…" : ""}${line.slice(start, start + WIDEST)}${
    start + WIDEST < line.length ? "…" : ""
  }`;
  return [text, column - start + (start > 0 ? 1 : 0)];
}
