/**
 * Finds the awaits of a cell that may run many times, which are those in functions and in loops, and the function each is in.
 *
 * Invariant: an await of a function stands in its body; one in a key or in a decorator runs with what is around the function
 * and is not told of.
 */

import { childrenOf, isFunction, isNode, type SyntaxNode } from "./parser.ts";

/** The awaits that may run many times, each with its function; null where it is the cell's own. */
export type RepeatedAwaits = ReadonlyMap<SyntaxNode, SyntaxNode | null>;

const LOOP = /^(For|ForIn|ForOf|While|DoWhile)Statement$/;

/** Finds them. */
export function findRepeatedAwaits(statements: readonly SyntaxNode[]): RepeatedAwaits {
  const found = new Map<SyntaxNode, SyntaxNode | null>();
  const visit = (node: SyntaxNode, holder: SyntaxNode | null, isRepeated: boolean): void => {
    if (node.type === "AwaitExpression" && isRepeated && (holder === null || isInBody(node, holder))) {
      found.set(node, holder);
    }
    const isHolder = isFunction(node), repeats = isRepeated || isHolder || LOOP.test(node.type);
    for (const child of childrenOf(node)) visit(child, isHolder ? node : holder, repeats);
  };
  for (const statement of statements) visit(statement, null, false);
  return found;
}

function isInBody({ start, end }: SyntaxNode, { body }: SyntaxNode): boolean {
  return isNode(body) && body.start <= start && end <= body.end;
}
