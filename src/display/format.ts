/**
 * Formatting of numbers for readers, the same in all displays.
 */

/** `57,730`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** Four significant digits at most: `0.1234`, `1.5`, `3.2e-8`, `−∞`. */
export function formatNumber(number: number): string {
  if (Number.isNaN(number)) return "NaN";
  if (!Number.isFinite(number)) return number < 0 ? "−∞" : "∞";
  if (number === 0) return "0";
  const size = Math.abs(number);
  const text = size < 1e-3 || size >= 1e6 ? shortExponent(number) : String(Number(number.toPrecision(4)));
  return text.replaceAll("-", "−");
}

/** `1.2 MB`, decimal. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const) {
    if (bytes >= size) return `${Number((bytes / size).toPrecision(3))} ${unit}`;
  }
  return `${bytes} bytes`;
}

/** `1 key`, `64 keys`. */
export function countOf(count: number, one: string, many: string = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

function shortExponent(number: number): string {
  return number.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
}
