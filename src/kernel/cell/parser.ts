/**
 * Reads cells: TypeScript with JSX, and `await` at the top, as the kernel takes it. The parser comes from npm and is loaded
 * with the kernel, not with the library.
 *
 * Invariant: nothing here runs a cell, and a cell that cannot be read is told apart from one that is not finished.
 */

// deno-lint-ignore no-import-prefix -- Published modules use no alias of an import map.
import { parse, type ParserOptions, type ParserPlugin } from "npm:@babel/parser@7.29.15";

/** A node of the tree: a type, where it is, and whatever belongs to the type. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [name: string]: unknown;
}

/** A cell that was read. */
export interface ParsedCell {
  /** The number of letters by which the parser's positions lie behind those of the code: 1 where it is in brackets. */
  readonly shift: number;
  /** Whether it is one object in curly brackets, which the kernel takes as a value and not as a block. */
  readonly isObject: boolean;
  readonly statements: readonly SyntaxNode[];
}

/** Why a cell was not read. */
export interface CellMistake {
  /** As the parser says it, with line and column. */
  readonly text: string;
  /** Where, as a place in the code. */
  readonly at: number;
  /** Whether more code could make it right. */
  readonly isUnfinished: boolean;
}

const PLUGINS: readonly ParserPlugin[] = [
  "typescript",
  "decorators",
  "decoratorAutoAccessors",
  "deferredImportEvaluation",
  "explicitResourceManagement",
  "importAttributes",
  "sourcePhaseImports",
];
/** These errors mean that the code ended too early, wherever they are found. */
const UNFINISHED = /Unterminated (template|comment)|Unterminated JSX/;
/** This one as well, if nothing comes after the block. */
const HALF_TRY = /Missing catch or finally clause/;

/** Reads a cell, or says what is wrong. */
export function parseCell(code: string): ParsedCell | CellMistake {
  const text = code.trim();
  if (text.startsWith("{") && text.endsWith("}")) {
    const inBrackets = tryParse(`(${code}\n)`, true);
    if ("statements" in inBrackets && inBrackets.statements.length === 1) {
      return { shift: 1, isObject: true, statements: inBrackets.statements };
    }
  }
  const withJsx = tryParse(code, true);
  if ("statements" in withJsx) return { shift: 0, isObject: false, ...withJsx };
  // A cast in angle brackets looks like JSX.
  const without = tryParse(code, false);
  return "statements" in without ? { shift: 0, isObject: false, ...without } : withJsx;
}

/** All nodes below some, each before what is in it. */
export function* walk(nodes: readonly SyntaxNode[]): Generator<SyntaxNode> {
  for (const node of nodes) {
    yield node;
    yield* walk(childrenOf(node));
  }
}

const FUNCTION =
  /^(Function|Arrow|ObjectMethod|ClassMethod|ClassPrivateMethod|StaticBlock|ClassProperty|ClassPrivate|ClassAccessor|TSModule)/;

/** The nodes below some that run with them: all but those in functions. */
export function* walkOwn(nodes: readonly SyntaxNode[]): Generator<SyntaxNode> {
  for (const node of nodes) {
    yield node;
    if (!isFunction(node)) yield* walkOwn(childrenOf(node));
  }
}

/** Whether what is in a node does not run with it. */
export function isFunction(node: SyntaxNode): boolean {
  return FUNCTION.test(node.type);
}

/** The nodes directly below one. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (const [name, value] of Object.entries(node)) {
    if (name.endsWith("Comments") || name === "extra" || name === "loc") continue;
    for (const item of Array.isArray(value) ? value : [value]) if (isNode(item)) children.push(item);
  }
  return children;
}

/** Whether something is a node. */
export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && "start" in value &&
    "end" in value &&
    typeof value.type === "string" && typeof value.start === "number";
}

/** A text alone is what the reader wants to see; "use strict" is one like any other, since cells are strict. */
function asStatement(directive: SyntaxNode): SyntaxNode {
  const { value } = directive;
  return { ...directive, type: "ExpressionStatement", expression: isNode(value) ? value : null };
}

function tryParse(code: string, jsx: boolean): { statements: SyntaxNode[] } | CellMistake {
  const options: ParserOptions = {
    sourceType: "module",
    allowAwaitOutsideFunction: true,
    allowUndeclaredExports: true,
    plugins: [...PLUGINS, ...(jsx ? ["jsx" as const] : [])],
  };
  try {
    const { program } = parse(code, options);
    const directives = (program.directives as unknown[]).filter(isNode);
    return { statements: [...directives.map(asStatement), ...(program.body as unknown[]).filter(isNode)] };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const at: unknown = Reflect.get(error, "pos");
    const place = typeof at === "number" ? at : 0;
    const isAtEnd = code.slice(place).trim() === "";
    return {
      text: error.message,
      at: place,
      isUnfinished: isAtEnd || UNFINISHED.test(error.message) ||
        HALF_TRY.test(error.message) && code.trimEnd().endsWith("}"),
    };
  }
}
