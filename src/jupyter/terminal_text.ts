/**
 * Texts of others on a terminal.
 *
 * Invariant: they are one line each, and command nothing.
 */

// deno-lint-ignore no-control-regex -- These are the characters that command a terminal.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]/g;

/** A text whose control characters are written out, as `\x1b`. */
export function terminalText(text: string): string {
  return text.replace(CONTROLS, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
