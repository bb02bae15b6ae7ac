// The places of a source where one thing can be changed, and what it is changed to. They are found in the syntax tree,
// so that no text, type or comment is taken for code.
//
// Invariant: a mutation changes one thing and leaves a program that can be read; what only words of errors or types would
// notice is no place.

import { isNode, parseCell, type SyntaxNode } from "../../src/kernel/cell/parser.ts";

/** What is changed. */
export type MutationKind = "operator" | "constant" | "condition" | "dropped" | "swapped";

/** One change of a source. */
export interface Mutation {
  readonly kind: MutationKind;
  /** The line, from 1 on. */
  readonly line: number;
  /** The code that is replaced, as places in the text. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** The code around the change, before and after it. */
  readonly before: string;
  readonly after: string;
}

/** What each operator becomes. */
const OPERATORS: Readonly<Record<string, string>> = {
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "&&": "||",
  "||": "&&",
  "<<": ">>",
  ">>": "<<",
  ">>>": "<<",
  "&": "|",
  "|": "&",
  "+=": "-=",
  "-=": "+=",
  "*=": "/=",
  "/=": "*=",
  "|=": "&=",
  "&=": "|=",
  "??=": "=",
};

/** What each function of `Math` becomes. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  max: "min",
  min: "max",
  floor: "ceil",
  ceil: "floor",
  abs: "sign",
  fround: "trunc",
};

/** Casts: of all nodes of types they alone have code in them. */
const CASTS = ["TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression", "TSParameterProperty"];
/** Where a change is of words alone, or of nothing that runs. */
const LEFT_ALONE = ["ThrowStatement", "ImportDeclaration", "ExportAllDeclaration"];

/** All mutations of a source, in the order of their places. */
export function mutationsOf(source: string): Mutation[] {
  const parsed = parseCell(source);
  if (!("statements" in parsed)) throw new SyntaxError(parsed.text);
  const lines = new LineTable(source);
  const found: Mutation[] = [];
  const visit = (node: SyntaxNode) => {
    if (LEFT_ALONE.includes(node.type) || (node.type.startsWith("TS") && !CASTS.includes(node.type))) return;
    for (const { kind, start, end, replacement } of changesOf(node, source)) {
      const whole = node.type === "IfStatement" ? source.slice(node.start, end + 1) : textOf(node, source);
      const after = whole.slice(0, start - node.start) + replacement + whole.slice(end - node.start);
      found.push({ kind, line: lines.at(start), start, end, replacement, before: whole, after });
    }
    childrenOf(node).forEach(visit);
  };
  parsed.statements.forEach(visit);
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

/** The source with one mutation. */
export function applyMutation(source: string, { start, end, replacement }: Mutation): string {
  return source.slice(0, start) + replacement + source.slice(end);
}

type Change = Pick<Mutation, "kind" | "start" | "end" | "replacement">;

/** How one node can be changed, its parts left alone. */
function changesOf(node: SyntaxNode, source: string): Change[] {
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression":
    case "AssignmentExpression":
      return operatorChanges(node, source);
    case "UnaryExpression":
      return unaryChanges(node, source);
    case "NumericLiteral":
    case "BooleanLiteral":
      return constantChanges(node);
    case "IfStatement":
    case "ConditionalExpression":
      return conditionChanges(partOf(node, "test"));
    case "ExpressionStatement":
      return dropChanges(node);
    case "CallExpression":
    case "NewExpression":
    case "OptionalCallExpression":
      return [...functionChanges(node), ...swapChanges(node, source)];
    default:
      return [];
  }
}

/** Another operator; `a ?? b` becomes `a`. */
function operatorChanges(node: SyntaxNode, source: string): Change[] {
  const [left, right] = [partOf(node, "left"), partOf(node, "right")];
  const operator = String(node.operator);
  if (operator === "??") {
    return [{ kind: "operator", start: left.end, end: right.end, replacement: "" }].filter(() =>
      // A bracket before or after the operator would lose its partner.
      /^\s*\?\?\s*$/.test(source.slice(left.end, right.start))
    ) as Change[];
  }
  const other = OPERATORS[operator];
  const start = source.indexOf(operator, left.end);
  if (other === undefined || start === -1 || start >= right.start) return [];
  return [{ kind: "operator", start, end: start + operator.length, replacement: other }];
}

/** `!a` and `-a` become `a`. */
function unaryChanges(node: SyntaxNode, source: string): Change[] {
  if (node.operator !== "!" && node.operator !== "-") return [];
  // A space keeps `a - -b` from becoming `a -b`, which is meant, and `return-1` from becoming one word.
  const replacement = /\w/.test(source[node.start - 1] ?? "") ? " " : "";
  return [{ kind: "operator", start: node.start, end: node.start + 1, replacement }];
}

/** The other boolean; the next whole number, or twice a number that is not whole. */
function constantChanges(node: SyntaxNode): Change[] {
  const { start, end, value } = node;
  const other = typeof value === "boolean"
    ? !value
    : Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 32
    ? Number(value) + 1
    : 2 * Number(value);
  return [{ kind: "constant", start, end, replacement: String(other) }];
}

/** A condition that never holds, and one that always does. */
function conditionChanges({ start, end, type }: SyntaxNode): Change[] {
  if (type === "BooleanLiteral") return [];
  return ["false", "true"].map((replacement) => ({ kind: "condition", start, end, replacement }));
}

/** A call or an assignment to a field that is left out. */
function dropChanges(node: SyntaxNode): Change[] {
  let expression = partOf(node, "expression");
  const isInner = expression.type === "AwaitExpression" ||
    (expression.type === "UnaryExpression" && expression.operator === "void");
  if (isInner) expression = partOf(expression, "argument");
  const isCall = expression.type === "CallExpression" || expression.type === "OptionalCallExpression";
  const isField = expression.type === "AssignmentExpression" &&
    partOf(expression, "left").type === "MemberExpression";
  // Without it a derived class cannot be made at all.
  if ((isCall && partOf(expression, "callee").type === "Super") || !(isCall || isField)) return [];
  return [{ kind: "dropped", start: node.start, end: node.end, replacement: ";" }];
}

/** The largest for the smallest, and the like. */
function functionChanges(node: SyntaxNode): Change[] {
  const callee = partOf(node, "callee");
  if (callee.type !== "MemberExpression") return [];
  const [object, property] = [partOf(callee, "object"), partOf(callee, "property")];
  const other = object.name === "Math" ? FUNCTIONS[String(property.name)] : undefined;
  if (other === undefined) return [];
  return [{ kind: "operator", start: property.start, end: property.end, replacement: other }];
}

/** Two neighbours among the arguments, exchanged. */
function swapChanges(node: SyntaxNode, source: string): Change[] {
  const given = (node.arguments as unknown[]).filter(isNode);
  const changes: Change[] = [];
  for (let at = 0; at + 1 < given.length; at++) {
    const [first, second] = [given[at], given[at + 1]];
    if (first.type === "SpreadElement" || second.type === "SpreadElement") continue;
    const [one, other] = [textOf(first, source), textOf(second, source)];
    if (one === other || isMeanOfBoth(node)) continue;
    const replacement = other + source.slice(first.end, second.start) + one;
    changes.push({ kind: "swapped", start: first.start, end: second.end, replacement });
  }
  return changes;
}

/** Whether the order of the arguments says nothing. */
function isMeanOfBoth(node: SyntaxNode): boolean {
  const callee = partOf(node, "callee");
  return callee.type === "MemberExpression" && partOf(callee, "object").name === "Math" &&
    ["max", "min", "hypot", "imul"].includes(String(partOf(callee, "property").name));
}

function partOf(node: SyntaxNode, name: string): SyntaxNode {
  const part = node[name];
  if (!isNode(part)) throw new TypeError(`${node.type} has no ${name}`);
  return part;
}

function textOf({ start, end }: SyntaxNode, source: string): string {
  return source.slice(start, end);
}

function childrenOf(node: SyntaxNode): SyntaxNode[] {
  return Object.entries(node).flatMap(([name, value]) =>
    name === "extra" || name === "loc" || name.endsWith("Comments") ? [] : [value].flat().filter(isNode)
  );
}

/** Numbers of lines by places. */
class LineTable {
  readonly #ends: number[] = [];

  constructor(text: string) {
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) this.#ends.push(at);
  }

  at(place: number): number {
    const line = this.#ends.findIndex((end) => end >= place);
    return (line === -1 ? this.#ends.length : line) + 1;
  }
}
