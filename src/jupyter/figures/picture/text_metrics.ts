/**
 * How wide text is, read from the font that draws it.
 *
 * Source: the OpenType specification, tables head, hhea, hmtx and cmap (formats 4 and 12).
 */

import { FormatError } from "../../../base/errors.ts";

/** Widths of text in one font. */
export class TextMetrics {
  readonly #view: DataView;
  readonly #unitsPerEm: number;
  readonly #widths: number;
  readonly #widthCount: number;
  readonly #glyphOf: (character: number) => number;

  /** @throws {FormatError} When the bytes are no TrueType font. */
  constructor(font: Uint8Array<ArrayBuffer>) {
    const view = new DataView(font.buffer, font.byteOffset, font.byteLength);
    const tables = new Map<string, number>();
    const tableCount = font.length < 12 ? 0 : view.getUint16(4);
    for (let at = 12; at < 12 + 16 * tableCount; at += 16) {
      tables.set(String.fromCharCode(...font.subarray(at, at + 4)), view.getUint32(at + 8));
    }
    const table = (name: string) => {
      const start = tables.get(name);
      if (start === undefined) throw new FormatError("TextMetrics", `font has no table ${name}`, "TrueType");
      return start;
    };
    this.#view = view;
    this.#unitsPerEm = view.getUint16(table("head") + 18);
    this.#widthCount = view.getUint16(table("hhea") + 34);
    this.#widths = table("hmtx");
    this.#glyphOf = characterMap(view, table("cmap"));
  }

  /** In the unit of `size`, the height of the font. */
  widthOf(text: string, size: number): number {
    let units = 0;
    for (const character of text) {
      const glyph = Math.min(this.#glyphOf(character.codePointAt(0) ?? 0), this.#widthCount - 1);
      units += this.#view.getUint16(this.#widths + 4 * glyph);
    }
    return units / this.#unitsPerEm * size;
  }
}

/** From characters to glyphs; 0 is the glyph of characters that the font does not have. */
function characterMap(view: DataView, table: number): (character: number) => number {
  const maps = Array.from({ length: view.getUint16(table + 2) }, (_, at) => {
    const start = table + view.getUint32(table + 4 + 8 * at + 4);
    return { start, format: view.getUint16(start) };
  });
  const long = maps.find(({ format }) => format === 12), short = maps.find(({ format }) => format === 4);
  if (long) return (character) => glyphInGroups(view, long.start, character);
  if (short) return (character) => glyphInSegments(view, short.start, character);
  throw new FormatError("TextMetrics", "font has no character map of format 4 or 12", "one of them");
}

function glyphInGroups(view: DataView, start: number, character: number): number {
  let low = 0, high = view.getUint32(start + 12) - 1;
  while (low <= high) {
    const middle = (low + high) >> 1, group = start + 16 + 12 * middle;
    if (character < view.getUint32(group)) high = middle - 1;
    else if (character > view.getUint32(group + 4)) low = middle + 1;
    else return view.getUint32(group + 8) + character - view.getUint32(group);
  }
  return 0;
}

function glyphInSegments(view: DataView, start: number, character: number): number {
  const size = view.getUint16(start + 6);
  for (let at = 0; at < size; at += 2) {
    if (character > view.getUint16(start + 14 + at)) continue;
    const first = view.getUint16(start + 16 + size + at);
    if (character < first) return 0;
    const delta = view.getUint16(start + 16 + 2 * size + at);
    const offsetAt = start + 16 + 3 * size + at, offset = view.getUint16(offsetAt);
    if (offset === 0) return (character + delta) & 0xffff;
    const glyph = view.getUint16(offsetAt + offset + 2 * (character - first));
    return glyph === 0 ? 0 : (glyph + delta) & 0xffff;
  }
  return 0;
}
