/**
 * Texts of others, as labels and cells of tables, that are shown as they are.
 *
 * Invariant: on a terminal they are one line each, and command nothing; in a page no formula is made of them.
 */

/** By one of these names of a class the versions of MathJax that pages have know that what is between dollars is text. */
export const NO_MATH = "tex2jax_ignore mathjax_ignore";

// deno-lint-ignore no-control-regex -- These are the characters that command a terminal.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]/g;

/** A text whose control characters are written out, as `\x1b`. */
export function terminalText(text: string): string {
  return text.replace(CONTROLS, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
