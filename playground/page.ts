/**
 * The places of the page, and what went wrong, in the words of the library.
 */

/** An element that the page has. */
export function placeOf(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`playground: the page has no element ${id}, expected one`);
  return found;
}

/** A number with its full value behind it. */
export function dataOf(name: string, value: number): HTMLElement {
  const made = document.createElement("data");
  made.dataset.name = name;
  made.value = String(value);
  made.textContent = value.toPrecision(3);
  return made;
}

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
