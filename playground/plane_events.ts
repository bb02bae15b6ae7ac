/**
 * What a visitor does to the sea, with pointer, finger or keys.
 */

import type { Place } from "./sea.ts";

/** What the sea tells whoever made it. */
export interface PlaneEvents {
  chooseBuoy(slot: number): void;
  chooseQuery(query: number): void;
  moveBuoy(slot: number, place: Place): void;
  moveQuery(query: number, place: Place): void;
  /** By so many degrees. */
  warmBuoy(slot: number, by: number): void;
  deleteBuoy(slot: number): void;
  insertBuoy(place: Place): void;
}
