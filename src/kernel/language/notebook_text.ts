/**
 * A notebook as one text, as a language server wants it: the cells that ran, then the one that is being written.
 *
 * Invariant: the cell that is being written stands at the end as it is; of cells that declare the same names the last one
 * counts.
 */

import { declaredNames } from "../cell/names.ts";
import { parseCell, type ParsedCell } from "../cell/parser.ts";

/** Letters of earlier cells that are kept, the newest ones. */
const LIMIT = 200_000;

interface Part {
  readonly code: string;
  readonly names: readonly string[];
}

/** Keeps the cells. */
export class NotebookText {
  readonly #parts: Part[] = [];
  #length = 0;

  /** A cell has run. */
  add(code: string, cell: ParsedCell): void {
    this.#parts.push({ code, names: declaredNames(cell) });
    this.#length += code.length;
    while (this.#length > LIMIT) this.#length -= this.#parts.shift()!.code.length;
  }

  /** The text with a cell at its end, and how many lines stand before it. */
  with(code: string): { readonly text: string; readonly before: number } {
    const parsed = parseCell(code);
    const known = new Set("statements" in parsed ? declaredNames(parsed) : []);
    const kept: string[] = [];
    for (const { code: earlier, names } of this.#parts.toReversed()) {
      if (names.length > 0 && names.every((name) => known.has(name))) continue;
      // A cell that declares no names is of no use to the others.
      if (names.length === 0) continue;
      for (const name of names) known.add(name);
      kept.unshift(earlier);
    }
    const head = kept.map((text) => `${text}\n;\n`).join("");
    return { text: head + code, before: head.split("\n").length - 1 };
  }
}
