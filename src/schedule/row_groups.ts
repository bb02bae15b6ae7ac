/**
 * Rows that a backend computes together for the price of one: when one of them is brought up to date, those of its group
 * that have missed the same come along. Else each would pay that price again for itself, with more to catch up by then.
 */

/** What is known of rows. */
export interface RowVersions {
  isLive(row: number): boolean;
  /** The moment that a row is of; less than all others for a row that has to be computed first. */
  versionOf(row: number): number;
}

/** Those of `rows` that are older than `version`, with what comes along, in order and each once. */
export function withCompanions(
  rows: Uint32Array,
  groupSize: number,
  version: number,
  known: RowVersions,
): Uint32Array {
  const behind = rows.filter((row) => known.versionOf(row) < version).sort();
  const found = new Uint32Array(behind.length * groupSize);
  let count = 0, next = 0;
  for (let at = 0; at < behind.length; at = next) {
    const first = behind[at] - behind[at] % groupSize;
    next = at;
    while (next < behind.length && behind[next] < first + groupSize) next++;
    for (let row = first; row < first + groupSize; row++) {
      if (known.isLive(row) && hasVersion(behind, at, next, known, known.versionOf(row))) {
        found[count++] = row;
      }
    }
  }
  return found.subarray(0, count);
}

function hasVersion(
  rows: Uint32Array,
  from: number,
  end: number,
  known: RowVersions,
  version: number,
): boolean {
  for (let at = from; at < end; at++) if (known.versionOf(rows[at]) === version) return true;
  return false;
}
