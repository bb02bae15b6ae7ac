/**
 * Finds the loops of a cell whose awaits can be stopped all at once: the loop becomes a function of its own, its awaits wait
 * for the promises themselves, and a stop gives up the function. That is as good as an error only where nothing in the loop
 * would see one.
 *
 * Invariant: between such a loop and each of its awaits there is no `try`, no `using` and no iterator that would have to be
 * told of the end; nothing in the loop jumps or returns out of it, or declares a `var`.
 */

import { childrenOf, isFunction, isNode, type SyntaxNode } from "./parser.ts";

/** A loop, or the statement that gives it its labels. */
export interface Loop {
  readonly statement: SyntaxNode;
  /** The list that it goes over; null where it goes over none. */
  readonly items: SyntaxNode | null;
}

/** The awaits that belong to loops. */
export type LoopAwaits = ReadonlyMap<SyntaxNode, Loop>;

const LOOP = /^(For|ForIn|ForOf|While|DoWhile)Statement$/;
const USING = /using$/;

/** Finds them. */
export function findLoops(statements: readonly SyntaxNode[]): LoopAwaits {
  const found = new Map<SyntaxNode, Loop>();
  for (const statement of statements) visit(statement, [], null, found);
  return found;
}

/** `loops` are those around the node, the outermost first; `labelled` is the statement whose label is the node's. */
function visit(
  node: SyntaxNode,
  loops: readonly Loop[],
  labelled: SyntaxNode | null,
  found: Map<SyntaxNode, Loop>,
): void {
  if (node.type === "AwaitExpression" && loops.length > 0) found.set(node, loops[0]);
  if (node.type === "LabeledStatement" && isNode(node.body)) {
    return visit(node.body, loops, labelled ?? node, found);
  }
  const children = childrenOf(node);
  if (isFunction(node) || node.type === "TryStatement" || children.some(isUsing)) {
    for (const child of children) visit(child, [], null, found);
    return;
  }
  if (!LOOP.test(node.type)) {
    for (const child of children) visit(child, loops, null, found);
    return;
  }
  const isOver = node.type === "ForOfStatement", statement = labelled ?? node;
  const items = isOver && isNode(node.right) ? node.right : null;
  const isOwn = node.await !== true && isSelfContained(statement);
  // Only its own loop can close an iterator.
  const around = isOver ? [] : loops;
  const within = around.length === 0 && isOwn ? [{ statement, items }] : around;
  for (const child of children) visit(child, child === items ? loops : within, null, found);
}

function isUsing(node: SyntaxNode): boolean {
  return node.type === "VariableDeclaration" && USING.test(String(node.kind));
}

/** Whether nothing in a statement leaves it but by its end or an error, and no name of it is seen outside. */
function isSelfContained(statement: SyntaxNode): boolean {
  const labels = new Set<unknown>();
  const check = (node: SyntaxNode): boolean => {
    const { type, kind, label } = node;
    if (type === "ReturnStatement" || type === "YieldExpression") return false;
    if (type === "VariableDeclaration" && kind === "var") return false;
    if (isNode(label)) {
      if (type === "LabeledStatement") labels.add(label.name);
      else if (!labels.has(label.name)) return false;
    }
    return isFunction(node) || childrenOf(node).every(check);
  };
  return check(statement);
}
