/**
 * Texts in pages.
 */

/** A text that is shown and not run. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
