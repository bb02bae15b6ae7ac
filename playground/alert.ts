/**
 * What went wrong, in the words of the library.
 */

import { placeOf } from "./control_panel.ts";

/** Shows errors in the place of those before; nothing for an empty list. */
export function complain(errors: readonly unknown[]): void {
  const alert = placeOf("alert");
  if (errors.length === 0 && alert.hidden) return;
  alert.textContent = errors.map(sentenceOf).join("\n");
  alert.hidden = errors.length === 0;
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
