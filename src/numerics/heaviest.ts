/**
 * The keys with the largest weights, found without sorting all keys.
 */

/**
 * The `count` slots among `slots` with the largest weights, the heaviest first, slots of equal weight in
 * ascending order; all slots if there are fewer. O(n log count).
 *
 * @param weights By slot number; no NaN.
 */
export function heaviestOf(
  slots: Uint32Array,
  weights: ArrayLike<number>,
  count: number,
): Uint32Array<ArrayBuffer> {
  const size = Math.min(count, slots.length);
  const lighter = (a: number, b: number) => weights[a] < weights[b] || (weights[a] === weights[b] && a > b);
  // A min-heap of the heaviest slots so far.
  const heap = slots.slice(0, size);
  const sink = (from: number) => {
    const slot = heap[from];
    let at = from;
    for (let child = 2 * at + 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && lighter(heap[child + 1], heap[child])) child++;
      if (!lighter(heap[child], slot)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = slot;
  };
  for (let at = (size >> 1) - 1; at >= 0; at--) sink(at);
  for (let at = size; size > 0 && at < slots.length; at++) {
    if (!lighter(heap[0], slots[at])) continue;
    heap[0] = slots[at];
    sink(0);
  }
  return heap.sort((a, b) => weights[b] - weights[a] || a - b);
}
