// Standard error as a place for progress.

import type { ProgressTarget } from "./progress.ts";

/** Writes at once; its width is that of the terminal, where there is one. */
export function standardError(): ProgressTarget {
  const encoder = new TextEncoder();
  const isTerminal = Deno.stderr.isTerminal();
  return {
    write: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
    isTerminal,
    columns: isTerminal ? Deno.consoleSize().columns : 80,
  };
}
