/**
 * Changes in the order of their slots. Invariant: what is sorted is copied, since others hold the list.
 */

import type { Since } from "../backends/since.ts";
import type { WordPages } from "./word_pages.ts";

/** Up to so many changes are sorted by insertion. */
const FEW_CHANGES = 64;

/** The same changes in the order of their slots, of which each occurs once. */
export function inSlotOrder(since: Since, pages: WordPages): Since {
  const { slots, retained } = since, count = slots.length;
  let isSorted = true;
  for (let at = 1; at < count && isSorted; at++) isSorted = slots[at - 1] < slots[at];
  if (isSorted) return since;
  const sorted = { slots: pages.take(count), retained: pages.take(count) };
  if (count <= FEW_CHANGES) insertSorted(slots, retained, sorted);
  else sortByPlaces(slots, retained, sorted);
  return sorted;
}

/** Sorts few changes by insertion. */
function insertSorted(slots: Uint32Array, ids: Uint32Array, to: Since): void {
  for (let at = 0; at < slots.length; at++) {
    const slot = slots[at];
    let place = at;
    for (; place > 0 && to.slots[place - 1] > slot; place--) {
      to.slots[place] = to.slots[place - 1];
      to.retained[place] = to.retained[place - 1];
    }
    to.slots[place] = slot;
    to.retained[place] = ids[at];
  }
}

/**
 * Sorts slots with their places as one number each, which is faster than sorting places by a comparison. Both
 * are below 2^26.
 */
function sortByPlaces(slots: Uint32Array, ids: Uint32Array, to: Since): void {
  const count = slots.length, order = new Float64Array(count);
  for (let at = 0; at < count; at++) order[at] = slots[at] * count + at;
  order.sort();
  for (let t = 0; t < count; t++) {
    const at = order[t] % count;
    to.slots[t] = slots[at];
    to.retained[t] = ids[at];
  }
}
