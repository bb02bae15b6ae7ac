/**
 * Times as people read them.
 */

/** Milliseconds as `1.2 µs`, `3.4 ms` or `12 s`, three digits at most. */
export function durationOf(milliseconds: number): string {
  const [number, unit] = milliseconds < 1
    ? [milliseconds * 1000, "µs"]
    : milliseconds < 1000
    ? [milliseconds, "ms"]
    : [milliseconds / 1000, "s"];
  return `${Number(number.toPrecision(3))} ${unit}`;
}
