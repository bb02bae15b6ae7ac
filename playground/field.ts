/**
 * The answers of attention everywhere: passing queries on a grid, as fine as the number of keys lets it be, and as often as
 * it leaves time for the rest.
 */

import { scratchWork } from "./rows.ts";
import { HALF_HEIGHT, HALF_WIDTH, type Place } from "./sea.ts";

/** Products that a field may take. */
const MOST_WORK = 2 ** 25;
/** The finest grid and the coarsest, in columns. */
const MOST_COLUMNS = 40, LEAST_COLUMNS = 10;
/** A field is drawn when so many times its duration have gone by. */
const PATIENCE = 6;

/** A grid of places, from the left upper corner, in cells of a size. */
export interface FieldGrid {
  readonly places: readonly Place[];
  readonly columns: number;
  readonly rows: number;
}

/** The grid for so many keys. */
export function fieldGrid(keyCount: number): FieldGrid {
  const shape = HALF_WIDTH / HALF_HEIGHT;
  const cells = MOST_WORK / scratchWork(1, Math.max(1, keyCount));
  const columns = Math.min(MOST_COLUMNS, Math.max(LEAST_COLUMNS, Math.floor(Math.sqrt(cells * shape))));
  const rows = Math.round(columns / shape);
  const places = Array.from({ length: rows * columns }, (_, at) => ({
    x: HALF_WIDTH * (2 * (at % columns + 0.5) / columns - 1),
    y: HALF_HEIGHT * (1 - 2 * (Math.floor(at / columns) + 0.5) / rows),
  }));
  return { places, columns, rows };
}

/** Says when the field is due. */
export class FieldClock {
  isOld = true;
  #from = 0;

  /** Milliseconds until a field may be drawn. */
  wait(): number {
    return this.#from - performance.now();
  }

  /** Draws one; from then on the field is new. */
  async timed(draw: () => Promise<void>): Promise<void> {
    const start = performance.now();
    this.isOld = false;
    await draw();
    const end = performance.now();
    this.#from = end + PATIENCE * (end - start);
  }
}
