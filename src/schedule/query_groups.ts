/**
 * Query slots that a backend computes together for the price of one. When one of them is brought up to date,
 * the slots of its group with the same epoch come along: otherwise each would later pay that price again by
 * itself, with more changes to catch up with.
 */

/** The query slots that there are, and their epochs. */
export interface KnownEpochs {
  isLive(slot: number): boolean;
  /** The epoch of a query slot's state; less than any other where there is none. */
  epochOf(slot: number): number;
}

/** The query slots among `slots` that are older than `epoch`, and their companions; ascending, each once. */
export function withCompanions(
  slots: Uint32Array,
  groupSize: number,
  epoch: number,
  known: KnownEpochs,
): Uint32Array {
  const behind = slots.filter((slot) => known.epochOf(slot) < epoch).sort();
  const found = new Uint32Array(behind.length * groupSize);
  let count = 0, next = 0;
  for (let at = 0; at < behind.length; at = next) {
    const first = behind[at] - behind[at] % groupSize;
    next = at;
    while (next < behind.length && behind[next] < first + groupSize) next++;
    for (let slot = first; slot < first + groupSize; slot++) {
      if (known.isLive(slot) && isAmong(known.epochOf(slot), behind, at, next, known)) {
        found[count++] = slot;
      }
    }
  }
  return found.subarray(0, count);
}

/** Whether one of the query slots from index `from` to `end` has this epoch. */
function isAmong(
  epoch: number,
  slots: Uint32Array,
  from: number,
  end: number,
  known: KnownEpochs,
): boolean {
  for (let at = from; at < end; at++) if (known.epochOf(slots[at]) === epoch) return true;
  return false;
}
