/**
 * Imports of a cell as what a notebook can run again and again: `const { … } = await import("…")`.
 *
 * Invariant: lines stay where they are.
 */

import { BRIDGE_NAME as BRIDGE } from "../prelude/bridge.ts";
import { isNode, type SyntaxNode } from "./parser.ts";

/** The text in place of an import; null where it stays as it is. */
export function importText(node: SyntaxNode, source: string): string | null {
  const { specifiers, source: from, importKind, phase } = node;
  if (!isNode(from) || typeof from.value !== "string" || !Array.isArray(specifiers)) return null;
  if (phase !== undefined && phase !== null) return null;
  const lines = "\n".repeat(source.split("\n").length - 1);
  if (importKind === "type" || importKind === "typeof") return `;${lines}`;
  const attributes = attributesText(node);
  const call = `await ${BRIDGE}.guardAsync(()=>${BRIDGE}.awaiting(import(${
    JSON.stringify(from.value)
  }${attributes}),1))`;
  const values = specifiers.filter(isNode).filter((item) => item.importKind !== "type");
  if (values.length === 0) return `${specifiers.length > 0 ? "" : call};${lines}`;
  const whole = values.find(({ type }) => type === "ImportNamespaceSpecifier");
  const names = values.filter((item) => item !== whole).map((item) => {
    const local = nameOf(item.local);
    const imported = item.type === "ImportDefaultSpecifier"
      ? '"default"'
      : JSON.stringify(nameOf(item.imported));
    return `${imported}:${local}`;
  });
  const pattern = `{${names.join(",")}}`;
  if (!whole) return `const ${pattern}=${call};${lines}`;
  const name = nameOf(whole.local);
  return `const ${name}=${call}${names.length > 0 ? `,${pattern}=${name}` : ""};${lines}`;
}

function attributesText({ attributes }: SyntaxNode): string {
  const given = Array.isArray(attributes) ? attributes.filter(isNode) : [];
  if (given.length === 0) return "";
  const pairs = given.map(({ key, value }) =>
    `${JSON.stringify(nameOf(key))}:${JSON.stringify(nameOf(value))}`
  );
  return `,{with:{${pairs.join(",")}}}`;
}

/** Of an identifier or a text. */
function nameOf(node: unknown): string {
  if (!isNode(node)) return "";
  return String(node.type === "StringLiteral" ? node.value : node.name);
}
