// Timing: warm-up until the code has tiered up, then the median and the spread of many runs.

/** Milliseconds of repeated runs. */
export interface Timing {
  readonly median: number;
  /** First and third quartile. */
  readonly spread: readonly [number, number];
  readonly runs: number;
}

/** Times `run`: first for `warmUpMs` unseen, then for `budgetMs`, at least five times. */
export async function time(
  run: () => void | Promise<void>,
  { warmUpMs = 150, budgetMs = 500 } = {},
): Promise<Timing> {
  for (const end = performance.now() + warmUpMs; performance.now() < end;) await run();
  const samples: number[] = [];
  for (const end = performance.now() + budgetMs; performance.now() < end || samples.length < 5;) {
    const start = performance.now();
    await run();
    samples.push(performance.now() - start);
  }
  samples.sort((a, b) => a - b);
  const at = (share: number) => samples[Math.floor(share * (samples.length - 1))];
  return { median: at(0.5), spread: [at(0.25), at(0.75)], runs: samples.length };
}

/** A number with three digits. */
export function short(number: number): string {
  return number >= 1000 ? Math.round(number).toLocaleString("en") : number.toPrecision(3);
}
