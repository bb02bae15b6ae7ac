// Functions of a source by their lengths and their parameters, as Babel's parser sees them.

import { parse } from "babel-parser";

/** A function as it stands in a file. */
export interface FunctionShape {
  /** The name that it has or is given; "" for one without. */
  readonly name: string;
  /** Where it begins, from 1. */
  readonly line: number;
  /** From its first line to its last. */
  readonly lines: number;
  readonly parameters: number;
}

/** What is read of a node of the syntax tree. */
interface SyntaxNode {
  readonly type: string;
  readonly loc?: { readonly start: { readonly line: number }; readonly end: { readonly line: number } };
  readonly [field: string]: unknown;
}

const FUNCTIONS = new Set([
  "FunctionDeclaration",
  "FunctionExpression",
  "ArrowFunctionExpression",
  "ObjectMethod",
  "ClassMethod",
  "ClassPrivateMethod",
]);

/** All functions of a source in TypeScript, the inner ones too. */
export function functionsOf(source: string): FunctionShape[] {
  const found: FunctionShape[] = [];
  const program =
    parse(source, { sourceType: "module", plugins: ["typescript", "importAttributes"] }).program;
  visit(program, null);
  return found;

  function visit(node: unknown, parent: SyntaxNode | null): void {
    if (Array.isArray(node)) return node.forEach((each) => visit(each, parent));
    if (!isNode(node)) return;
    if (FUNCTIONS.has(node.type) && node.loc) {
      found.push({
        name: nameOf(node) || nameOf(parent),
        line: node.loc.start.line,
        lines: node.loc.end.line - node.loc.start.line + 1,
        parameters: (node.params as unknown[]).length,
      });
    }
    for (const [field, value] of Object.entries(node)) if (field !== "loc") visit(value, node);
  }
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

/** The name in one of the fields that hold the name of a function or of what it is assigned to. */
function nameOf(node: SyntaxNode | null): string {
  for (const name of [node?.id, node?.key, node?.left]) {
    if (!isNode(name)) continue;
    if (typeof name.name === "string") return name.name;
    if (isNode(name.id)) return `#${name.id.name}`;
  }
  return "";
}
