/**
 * Long work in short parts, between which the event loop turns.
 */

/** Milliseconds of work after which the loop turns. */
const PART_MS = 4;

/** Resolves when the event loop has turned once. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Runs `parts` to their end; after a few milliseconds of them the loop turns. */
export async function inTurns(parts: Iterable<unknown>): Promise<void> {
  let start = performance.now();
  for (const _ of parts) {
    if (performance.now() - start < PART_MS) continue;
    await nextTurn();
    start = performance.now();
  }
}
