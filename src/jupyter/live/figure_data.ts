/**
 * What a live figure is made of, as text that travels inside a page: written where the figure is made, read by the program
 * in the page.
 */

import { toBase64 } from "../../display/base64.ts";

/** A matrix as text: float32 numbers in the order of this machine's bytes, little-endian everywhere, in base64. */
export interface PackedMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: string;
}

/** Everything that the figure shows and computes with. */
export interface FigureData {
  readonly title: string;
  readonly query: PackedMatrix;
  readonly key: PackedMatrix;
  readonly value: PackedMatrix;
  readonly queryLabels: readonly string[];
  readonly keyLabels: readonly string[];
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
  readonly softcap: number;
  /** How far before and after a query's position a key may be; null for as far as it likes. */
  readonly window: readonly [before: number | null, after: number | null];
  readonly queryPositions: readonly number[];
  readonly keyPositions: readonly number[];
  /** What is added to scores: no matrix, one for all heads, or one a head. */
  readonly mask: readonly PackedMatrix[];
  /** Changed keys that a stale answer may miss; null for any number. */
  readonly lazyThreshold: number | null;
}

/** A matrix as numbers. */
export interface PlainMatrix {
  readonly data: Float32Array<ArrayBuffer>;
  readonly shape: readonly [rows: number, columns: number];
}

/** From numbers to text. */
export function packMatrix(data: Float32Array, rows: number, columns: number): PackedMatrix {
  const view = new DataView(new ArrayBuffer(4 * data.length));
  data.forEach((number, at) => view.setFloat32(4 * at, number, true));
  return { rows, columns, data: toBase64(new Uint8Array(view.buffer)) };
}

/** From text to numbers. */
export function unpackMatrix({ rows, columns, data }: PackedMatrix): PlainMatrix {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const numbers = Float32Array.from({ length: rows * columns }, (_, at) => view.getFloat32(4 * at, true));
  return { data: numbers, shape: [rows, columns] };
}
