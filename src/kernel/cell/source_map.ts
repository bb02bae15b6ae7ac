/**
 * Reads source maps (https://tc39.es/ecma426/), as far as a stack trace needs them. Lines and columns count from 1.
 */

/** A place in a text. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

interface Segment {
  readonly column: number;
  readonly source: Place;
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const COMMENT = "//# sourceMappingURL=data:application/json;base64,";

/** The way back from a text that was made of another. */
export class SourceMap {
  readonly #lines: readonly (readonly Segment[])[];

  private constructor(lines: readonly (readonly Segment[])[]) {
    this.#lines = lines;
  }

  /** Reads the map at the end of a text; null where there is none. */
  static read(text: string): SourceMap | null {
    const at = text.lastIndexOf(COMMENT);
    if (at === -1) return null;
    const json = new TextDecoder().decode(Uint8Array.fromBase64(text.slice(at + COMMENT.length).trim()));
    const { mappings } = JSON.parse(json) as { mappings: string };
    const lines: Segment[][] = [];
    let line = 0, column = 0;
    for (const part of mappings.split(";")) {
      const segments: Segment[] = [];
      let generated = 0;
      for (const segment of part.split(",")) {
        const [toColumn, , toLine, toSource] = decode(segment);
        if (toColumn === undefined) continue;
        generated += toColumn;
        if (toLine === undefined || toSource === undefined) continue;
        line += toLine;
        column += toSource;
        segments.push({ column: generated + 1, source: { line: line + 1, column: column + 1 } });
      }
      lines.push(segments);
    }
    return new SourceMap(lines);
  }

  /** The place in the source; null where the map does not know. */
  find(line: number, column: number): Place | null {
    const segments = this.#lines[line - 1] ?? [];
    return segments.findLast((segment) => segment.column <= column)?.source ?? segments[0]?.source ?? null;
  }
}

/** The numbers of a segment: digits of five bits, the sign last. */
function decode(segment: string): number[] {
  const numbers: number[] = [];
  let value = 0, shift = 0;
  for (const letter of segment) {
    const digit = LETTERS.indexOf(letter);
    value += (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    value = shift = 0;
  }
  return numbers;
}

/** Where the lines of a text begin. */
export function lineTable(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

/** The number of letters before a place. */
export function offsetAt(starts: readonly number[], { line, column }: Place): number {
  return (starts[line - 1] ?? 0) + column - 1;
}

/** The place behind so many letters. */
export function placeAt(starts: readonly number[], offset: number): Place {
  const line = starts.findLastIndex((start) => start <= offset);
  return { line: line + 1, column: offset - starts[line] + 1 };
}
