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
/** Lines that are quoted around the one that threw. */
const AROUND = 2, WIDEST = 160;

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
    if (!text.includes("attune-cell-")) return text;
    return text.replace(FRAME, (_, number: string, line?: string, column?: string) => {
      const source = this.#sources.get(Number(number));
      if (!source) return "<cell>";
      const place = line === undefined ? null : this.#find(source, Number(line), Number(column));
      return `<${source.label}>${place ? `:${place.line}:${place.column}` : ""}`;
    });
  }

  /** A traceback in which the line that threw is quoted; the statement where no frame is of a cell. */
  translateTraceback(lines: readonly string[], statement: StatementPlace | null = null): string[] {
    if (statement && !lines.some((line) => line.includes("attune-cell-"))) {
      const { code, label } = statement, place = placeAt(lineTable(code), statement.at);
      return [...lines, ...quote(code, place), `    at <${label}>:${place.line}:${place.column}`];
    }
    const at = lines.findIndex((line) => /^\s+at .*attune-cell-\d+:\d+/.test(stripVTControlCharacters(line)));
    const translated = lines.map((line) => this.translate(line));
    const [found] = at === -1 ? [] : lines[at].matchAll(FRAME);
    const source = found && this.#sources.get(Number(found[1]));
    const place = source && this.#find(source, Number(found[2]), Number(found[3]));
    return source && place ? translated.toSpliced(at, 0, ...quote(source.code, place)) : translated;
  }

  #find(source: Source, line: number, column: number): Place | null {
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

/** A place in the rewritten cell as one in what was written. */
function originalOf({ code, rewritten }: Source, place: Place): Place {
  const offset = offsetAt(lineTable(rewritten.code), place);
  let added = 0;
  for (const { at, text, removed } of rewritten.insertions) {
    const start = at + added;
    if (start > offset) break;
    if (offset < start + text.length) return placeAt(lineTable(code), Math.min(at, code.length));
    added += text.length - removed;
  }
  return placeAt(lineTable(code), Math.min(Math.max(0, offset - added), code.length));
}

/** The lines around a place, with a mark below it. */
export function quote(code: string, { line, column }: Place): string[] {
  const lines = code.split("\n");
  const from = Math.max(1, line - AROUND), to = Math.min(lines.length, line + AROUND);
  const width = String(to).length;
  const quoted: string[] = [];
  for (let at = from; at <= to; at++) {
    quoted.push(
      `${at === line ? ">" : " "} ${String(at).padStart(width)} | ${lines[at - 1].slice(0, WIDEST)}`,
    );
    if (at === line && column <= WIDEST) quoted.push(`  ${" ".repeat(width)} | ${" ".repeat(column - 1)}^`);
  }
  return quoted;
}
