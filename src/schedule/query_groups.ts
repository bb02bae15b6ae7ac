/**
 * Query slots that a backend computes together for the price of one. When one of them is brought up to date, the slots
 * of its group with the same version come along: otherwise each would later pay that price again by itself, with more
 * changes to catch up with.
 */

/** The query slots that there are, and their versions. */
export interface KnownVersions {
  isLive(slot: number): boolean;
  /** The version of a query slot's state; less than any other where there is none. */
  versionOf(slot: number): number;
}

/** The query slots among `slots` that are older than `version`, and their companions; ascending, each once. */
export function withCompanions(
  slots: Uint32Array,
  groupSize: number,
  version: number,
  known: KnownVersions,
): Uint32Array {
  const behind = slots.filter((slot) => known.versionOf(slot) < version).sort();
  const found = new Uint32Array(behind.length * groupSize);
  let count = 0, next = 0;
  for (let at = 0; at < behind.length; at = next) {
    const first = behind[at] - behind[at] % groupSize;
    next = at;
    while (next < behind.length && behind[next] < first + groupSize) next++;
    for (let slot = first; slot < first + groupSize; slot++) {
      if (known.isLive(slot) && isAmong(known.versionOf(slot), behind, at, next, known)) {
        found[count++] = slot;
      }
    }
  }
  return found.subarray(0, count);
}

/** Whether one of the query slots from index `from` to `end` has this version. */
function isAmong(
  version: number,
  slots: Uint32Array,
  from: number,
  end: number,
  known: KnownVersions,
): boolean {
  for (let at = from; at < end; at++) if (known.versionOf(slots[at]) === version) return true;
  return false;
}
