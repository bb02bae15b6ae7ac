/**
 * Imports of a cell as what a notebook can run again and again: `const { … } = await import("…")`.
 *
 * Invariant: lines stay where they are.
 */

import { BRIDGE_NAME as BRIDGE } from "../prelude/bridge.ts";
import { isNode, type SyntaxNode } from "./parser.ts";

/** The text in place of an import that begins at a place in the cell; null where it stays as it is. */
export function importText(node: SyntaxNode, source: string, at: number): string | null {
  const { specifiers, source: from, importKind, phase } = node;
  if (!isNode(from) || typeof from.value !== "string" || !Array.isArray(specifiers)) return null;
  if (phase !== undefined && phase !== null) return null;
  const lines = "\n".repeat(source.split("\n").length - 1);
  if (importKind === "type" || importKind === "typeof") return `;${lines}`;
  const attributes = attributesText(node);
  const values = specifiers.filter(isNode).filter((item) => item.importKind !== "type");
  const wanted = values.filter(({ type }) => type !== "ImportNamespaceSpecifier").map(importedName);
  const specifier = JSON.stringify(from.value);
  const call = `await ${BRIDGE}.importing(()=>import(${specifier}${attributes}),${specifier},${
    JSON.stringify(wanted)
  },${at})`;
  if (values.length === 0) return `${specifiers.length > 0 ? "" : call};${lines}`;
  const whole = values.find(({ type }) => type === "ImportNamespaceSpecifier");
  const names = values.filter((item) => item !== whole).map((item) => {
    return `${JSON.stringify(importedName(item))}:${nameOf(item.local)}`;
  });
  const pattern = `{${names.join(",")}}`;
  if (!whole) return `const ${pattern}=${call};${lines}`;
  const name = nameOf(whole.local);
  return `const ${name}=${call}${names.length > 0 ? `,${pattern}=${name}` : ""};${lines}`;
}

function importedName({ type, imported }: SyntaxNode): string {
  return type === "ImportDefaultSpecifier" ? "default" : nameOf(imported);
}

function attributesText({ attributes }: SyntaxNode): string {
  const given = Array.isArray(attributes) ? attributes.filter(isNode) : [];
  if (given.length === 0) return "";
  const pairs = given.map(({ key, value }) =>
    `${JSON.stringify(nameOf(key))}:${JSON.stringify(nameOf(value))}`
  );
  return `,{with:{${pairs.join(",")}}}`;
}

/** The name that an identifier or a string literal stands for. */
function nameOf(node: unknown): string {
  if (!isNode(node)) return "";
  return String(node.type === "StringLiteral" ? node.value : node.name);
}
