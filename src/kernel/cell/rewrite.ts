/**
 * Makes a cell one that can be stopped: every `await` in it waits by way of the kernel, which can make it throw.
 *
 * Invariant: lines stay where they are, values are what they were, and a cell that cannot be read is left as it is, so that
 * the kernel itself says what is wrong with it.
 */

import type { ParsedCell, SyntaxNode } from "./parser.ts";
import { isNode, walk } from "./parser.ts";

/** How code finds the part of the kernel that is in its process. */
const BRIDGE = `globalThis[Symbol.for("attune.kernel")]`;
// A function may be sent to a worker as text, where there is no such part.
const AWAITING = `(${BRIDGE}?.awaiting??Promise.resolve.bind(Promise))(`;
const ITERATING = `(${BRIDGE}?.iterating??(items=>items))(`;

interface Insertion {
  readonly at: number;
  readonly text: string;
  /** Of insertions at one place those of lower order come first. */
  readonly order: number;
}

/** The code to run for a cell. */
export function rewriteCell(code: string, cell: ParsedCell, number: number): string {
  const { statements, shift, isObject } = cell;
  if (statements.length === 0) return code;
  const insertions: Insertion[] = [];
  for (const node of walk(statements)) {
    if (node.type === "AwaitExpression" && isNode(node.argument)) wrap(insertions, node.argument, AWAITING);
    if (node.type === "ForOfStatement" && node.await === true && isNode(node.right)) {
      wrap(insertions, node.right, ITERATING);
    }
  }
  const enter = `${BRIDGE}.enter(${number})`;
  const [first] = statements;
  if (isObject) {
    insertions.push({ at: shift, text: `(${enter},`, order: -1 }, {
      at: code.length + shift,
      text: ")",
      order: 2,
    });
  } else {
    insertions.push({ at: first.start, text: `void ${enter};`, order: -1 });
  }
  return apply(code, insertions.map((insertion) => ({ ...insertion, at: insertion.at - shift })));
}

function wrap(insertions: Insertion[], node: SyntaxNode, call: string): void {
  // What is in brackets begins and ends within them; of a row with commas the last is meant, not each.
  const [open, close] = node.type === "SequenceExpression" ? ["(", "))"] : ["", ")"];
  insertions.push({ at: node.start, text: call + open, order: 1 }, { at: node.end, text: close, order: 0 });
}

function apply(code: string, insertions: readonly Insertion[]): string {
  // The sort is stable: of two nodes that begin at one place the outer one was found first.
  const sorted = insertions.toSorted((a, b) => a.at - b.at || a.order - b.order);
  let result = "", at = 0;
  for (const insertion of sorted) {
    result += code.slice(at, insertion.at) + insertion.text;
    at = insertion.at;
  }
  return result + code.slice(at);
}
