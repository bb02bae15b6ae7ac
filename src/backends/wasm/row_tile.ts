/**
 * Where packed rows are unpacked for the kernels, at most TILE_TERMS at a time: behind the lane of each thread.
 */

import type { HeadLayout } from "../../numerics/head_layout.ts";
import type { RowFormat } from "../../numerics/row_format.ts";
import * as field from "./job_fields.ts";
import type { Kernels } from "./load_kernels.ts";
import { columnsOf, type PackedFields } from "./row_rule.ts";
import type { PieceRunner } from "./threads/piece_runner.ts";
import { LANE_BYTES, TILE_TERMS } from "./threads/pieces.ts";

/** The sizes of the tiles of a layout. */
export interface TileSizes extends PackedFields {
  /** Bytes of both tiles. */
  readonly bytes: number;
}

/** The tiles of a layout; null where nothing is packed. */
export function tileSizes({ storage, headDim, valueDim }: HeadLayout): TileSizes | null {
  if (!storage) return null;
  const keyFormat = codeOf(storage.keys), valueFormat = codeOf(storage.values);
  const keyBytes = keyFormat === field.FLOAT32 ? 0 : tileBytes(headDim);
  const valueBytes = valueFormat === field.FLOAT32 ? 0 : tileBytes(columnsOf(valueDim));
  return {
    keyFormat,
    valueFormat,
    keyTile: keyBytes === 0 ? 0 : LANE_BYTES,
    valueTile: valueBytes === 0 ? 0 : LANE_BYTES + keyBytes,
    bytes: keyBytes + valueBytes,
  };
}

/** Bytes of the addresses and the rows of a tile; a row begins at a multiple of 16. */
function tileBytes(width: number): number {
  return TILE_TERMS * (4 + 16 * Math.ceil(width / 4));
}

function codeOf(format: RowFormat): number {
  if (format === "float32") return field.FLOAT32;
  return format === "float16" ? field.FLOAT16 : field.INT8;
}

/** Unpacks rows of patches and scores, to the tiles of the first lane, which then are not those of a build. */
export class RowTile {
  readonly #kernels: Kernels;
  readonly #runner: PieceRunner;
  readonly #sizes: TileSizes;

  constructor(kernels: Kernels, runner: PieceRunner, sizes: TileSizes) {
    this.#kernels = kernels;
    this.#runner = runner;
    this.#sizes = sizes;
  }

  /** Unpacks all rows of a job's terms, of which there are at most TILE_TERMS. */
  unpack(job: number): void {
    this.unpackKeys(job, 0);
    const { valueTile } = this.#sizes;
    if (valueTile !== 0) this.#kernels.unpackValues(job, 0, this.#runner.firstLane + valueTile);
  }

  /** Unpacks the keys of a job's terms from number `first` on. */
  unpackKeys(job: number, first: number): void {
    const { keyTile } = this.#sizes;
    if (keyTile !== 0) this.#kernels.unpackKeys(job, first, this.#runner.firstLane + keyTile);
  }
}
