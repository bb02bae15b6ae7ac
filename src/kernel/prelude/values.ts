/**
 * How the last value of a cell is shown.
 *
 * Invariant: every value but `undefined` shows; what cannot be shown as it wishes shows as text.
 */

import { escapeHtml } from "./escape.ts";
import {
  Array,
  Boolean,
  Deno,
  globalObject,
  JSON,
  Object,
  Reflect,
  Set,
  String,
  Symbol,
  Uint8Array,
} from "../natives.ts";

/** Types → contents. */
export type Bundle = Record<string, unknown>;

/** Writes values as `console.log` would. */
export type Inspect = (value: unknown) => string;

const DISPLAY = Symbol.for("Jupyter.display");
/**
 * By one of these properties the stock kernel knows a picture, a chart, an element of a page or a table of another library,
 * where it is of this type.
 */
const PICTURES = [["toDataURL", "function"], ["toSpec", "function"], ["outerHTML", "string"], [
  "toRecords",
  "function",
]] as const;
/** It also knows pictures by their bytes, and what a graphics adapter holds. */
const BYTES = ["Uint8Array", "GPUTexture", "GPUBuffer"].map((name) => Reflect.get(globalObject, name))
  .filter((kind): kind is new () => object => typeof kind === "function");
/** By one of these names the versions of MathJax that pages have know that what is between dollars is text. */
const NO_MATH = "tex2jax_ignore mathjax_ignore";
/** A long table shows its first rows, and a wide one its first columns. */
const ROWS = 50, COLUMNS = 20, LETTERS = 200;

/**
 * The bundle of a value. `format` is that of the stock kernel, which knows pictures, tables of other libraries and more;
 * `tell` is told of what a value throws meanwhile, which is then shown as text.
 */
export async function bundleOf(
  value: unknown,
  format: (value: unknown) => Promise<Bundle>,
  inspect: Inspect,
  tell: (error: unknown) => void,
): Promise<Bundle> {
  try {
    const bundle = plainBundle(await wishedBundle(value, format, inspect));
    if (bundle !== null) return bundle;
  } catch (error) {
    tell(error);
  }
  return {
    "text/plain": attempt(() => inspect(value)) ?? attempt(() => kindOf(value)) ?? "[it cannot be shown]",
  };
}

/** A bundle that messages can hold: bytes as base64, all else as JSON; null for what is none. */
function plainBundle(bundle: unknown): Bundle | null {
  if (typeof bundle !== "object" || bundle === null || Array.isArray(bundle)) return null;
  const plain: Bundle = {};
  for (const [type, content] of Object.entries(bundle)) {
    if (content === undefined) continue;
    const bytes = content instanceof Uint8Array ? content.toBase64() : content;
    plain[type] = type.startsWith("text/") && typeof bytes !== "string" ? String(bytes) : asJson(bytes);
  }
  return Object.keys(plain).length > 0 ? plain : null;
}

function asJson(content: unknown): unknown {
  return typeof content === "string" ? content : JSON.parse(JSON.stringify(content) ?? "null");
}

function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}

function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}

/** The bundle that a value wishes to be shown as. */
async function wishedBundle(
  value: unknown,
  format: (value: unknown) => Promise<Bundle>,
  inspect: Inspect,
): Promise<Bundle> {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") {
    return { "text/plain": inspect(value) };
  }
  const wish: unknown = DISPLAY in value ? Reflect.get(value, DISPLAY) : null;
  if (typeof wish === "function") return await Reflect.apply(wish, value, []) as Bundle;
  const isPicture = PICTURES.some(([name, type]) =>
    name in value && typeof Reflect.get(value, name) === type
  );
  if (isPicture || BYTES.some((kind) => value instanceof kind)) {
    // Front ends without pictures, a terminal say, show the text.
    const text = attempt(() => inspect(value));
    return { ...(text === null ? {} : { "text/plain": text }), ...await format(value) };
  }
  const table = tableOf(value);
  return { "text/plain": inspect(value), ...(table === null ? {} : { "text/html": table }) };
}

/** An array of plain objects as a table of HTML; null for anything else. */
export function tableOf(value: unknown): string | null {
  if (!Array.isArray(value) || value.length === 0 || !value.every(isRecord)) return null;
  const columns = [...new Set(value.slice(0, ROWS).flatMap((row) => Object.keys(row)))];
  if (columns.length === 0) return null;
  const shown = columns.slice(0, COLUMNS);
  const row = (cells: readonly string[], tag: "th" | "td") =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
  const body = value.slice(0, ROWS).map((record, at) =>
    row([`<b>${at}</b>`, ...shown.map((name) => escapeHtml(cellText(record, name)))], "td")
  );
  const left = [
    value.length > ROWS ? `${value.length - ROWS} more rows` : "",
    columns.length > COLUMNS ? `${columns.length - COLUMNS} more columns` : "",
  ].filter(Boolean).join(", ");
  return `<table class="${NO_MATH}"><thead>${row(["", ...shown.map(escapeHtml)], "th")}</thead><tbody>${
    body.join("")
  }</tbody></table>${left && `<p>${left}</p>`}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || DISPLAY in value) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // An object of another realm counts too.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function cellText(record: Record<string, unknown>, name: string): string {
  // This runs no getter.
  const property = Object.getOwnPropertyDescriptor(record, name);
  if (!property) return "";
  if (!("value" in property)) return "[getter]";
  const { value } = property;
  const text = typeof value === "string" ? value : Deno.inspect(value, { depth: 1, compact: true });
  return text.length > LETTERS ? `${text.slice(0, LETTERS)}…` : text;
}
