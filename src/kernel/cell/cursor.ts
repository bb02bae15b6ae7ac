/**
 * The expression at the cursor of a cell. Front ends count in code points, JavaScript in units of 16 bits.
 */

import { type Literal, literalAt } from "./literals.ts";

/** The cursor that a front end sends, in code points: within the text, and at its end where it is no number. */
export function cursorIn(code: string, cursor: unknown): number {
  const length = toPoints(code, code.length);
  if (typeof cursor !== "number" || Number.isNaN(cursor)) return length;
  return Math.max(0, Math.min(length, Math.floor(cursor)));
}

/** The place in a text of a cursor that is given in code points. */
export function toUnits(code: string, points: number): number {
  let units = 0;
  for (const letter of code) {
    if (points-- <= 0) break;
    units += letter.length;
  }
  return units;
}

/** A place in a text as a number of code points. */
export function toPoints(code: string, units: number): number {
  return [...code.slice(0, units)].length;
}

/** A name to be completed. */
export interface Completion {
  /** The text before the last dot; null where there is none. */
  readonly object: string | null;
  /** The part of the name that has been written. */
  readonly prefix: string;
  /** What it is within: names mean nothing there, but keys do in `object["`. */
  readonly within: "code" | "key" | "literal";
}

/** The name that is being written at a place. */
export function completionAt(code: string, place: number): Completion {
  const literal = literalAt(code, place);
  if (literal !== null) return withinLiteral(code, place, literal);
  const within = "code";
  const [prefix] = /[\p{ID_Continue}$]*$/u.exec(code.slice(0, place)) ?? [""];
  const before = code.slice(0, place - prefix.length).trimEnd();
  if (!before.endsWith(".") || /(^|[^\d\w.)\]])\d+\.$/.test(before)) return { object: null, prefix, within };
  const end = before.length - (before.endsWith("?.") ? 2 : 1);
  return { object: code.slice(chainStart(code, end), end).trim(), prefix, within };
}

/** In `object["ke` a key is written. */
function withinLiteral(code: string, place: number, { kind, start }: Literal): Completion {
  const prefix = code.slice(start + 1, place);
  const end = kind === "text" ? code.slice(0, start).search(/(\?\.)?\[\s*$/) : -1;
  const object = end < 0 ? "" : code.slice(chainStart(code, end), end).trim();
  return object === "" ? { object: null, prefix, within: "literal" } : { object, prefix, within: "key" };
}

const CLOSING = /[)\]]/, QUOTE = /["'`]/;

/** Where the expression begins that ends at a place: names, calls, indexes and texts, over line ends too. */
function chainStart(code: string, end: number): number {
  let at = end;
  for (;;) {
    while (at > 0 && /\s/.test(code[at - 1])) at--;
    const last = code[at - 1] ?? "";
    if (CLOSING.test(last)) {
      const open = openingOf(code, at - 1);
      if (open === null) return end;
      at = open;
      // A value that is called or indexed stands directly before the bracket; otherwise the bracket opens a list or a
      // group.
      if (!/[\p{ID_Continue}$)\]"'`]/u.test(code[at - 1] ?? "")) return at;
      continue;
    }
    if (QUOTE.test(last)) {
      const open = code.lastIndexOf(last, at - 2);
      return open === -1 ? end : open;
    }
    const [name] = /[\p{ID_Continue}$]*$/u.exec(code.slice(0, at)) ?? [""];
    at -= name.length;
    const before = code.slice(0, at).trimEnd();
    if (name === "" || !before.endsWith(".")) return at;
    at = before.length - (before.endsWith("?.") ? 2 : 1);
  }
}

/** The place of the bracket that a closing one belongs to; texts in between are not looked into. */
function openingOf(code: string, closing: number): number | null {
  let depth = 0;
  for (let at = closing; at >= 0; at--) {
    if (")]}".includes(code[at])) depth++;
    if ("([{".includes(code[at]) && --depth === 0) return at;
  }
  return null;
}

/** The names, joined by dots, that stand at a place, or that are called with the brackets around it, and where they end. */
export function expressionAt(
  code: string,
  place: number,
): { readonly expression: string; readonly end: number } {
  const [before] = /[\p{ID_Continue}$.]*$/u.exec(code.slice(0, place)) ?? [""];
  const [after] = /^[\p{ID_Continue}$]*/u.exec(code.slice(place)) ?? [""];
  const found = (before + after).replace(/^\.+|\.+$/g, "");
  if (found !== "" && !/^\d/.test(found)) return { expression: found, end: place + after.length };
  let depth = 0;
  for (let at = place - before.length - 1; at >= 0; at--) {
    if (code[at] === ")") depth++;
    if (code[at] === "(" && --depth < 0) {
      const [called] = /[\p{ID_Continue}$.]+$/u.exec(code.slice(0, at)) ?? [""];
      return { expression: called.replace(/^\.+/, ""), end: at };
    }
  }
  return { expression: "", end: place };
}
