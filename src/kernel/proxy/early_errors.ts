/**
 * Errors of syntax that the runtime finds before a cell runs and the parser does not: the parser knows neither earlier cells
 * nor the language of patterns. The runtime does not say where they are.
 *
 * Invariant: a place is told only where the error names what stands there.
 */

import { declarationsOf } from "../cell/names.ts";
import { type ParsedCell, type SyntaxNode, walk } from "../cell/parser.ts";

/** Words of which each may declare a name again that another one of the same row has declared. */
const ROWS = [["let", "class"], ["const", "import"], ["var", "function", "enum", "namespace"]] as const;

/** Where an error is, and what can be done. */
export interface EarlyError {
  readonly at: number;
  readonly hint: string | null;
}

/** Knows what the cells of a notebook have declared. */
export class EarlyErrors {
  readonly #declared = new Map<string, { readonly word: string; readonly label: string }>();

  /** A cell has run; `label` is how people know it. */
  learn(parsed: ParsedCell, label: string): void {
    for (const [name, { word }] of declarationsOf(parsed)) this.#declared.set(name, { word, label });
  }

  /** Finds an error by its message; null where it does not say enough. */
  find(parsed: ParsedCell, message: string): EarlyError | null {
    const [, name] = /^Identifier '(.+)' has already been declared/.exec(message) ?? [];
    if (name !== undefined) return this.#redeclared(parsed, name);
    for (const node of walk(parsed.statements)) {
      if (isPattern(node) && message.includes(`: /${node.pattern}/`)) {
        return { at: node.start - parsed.shift, hint: null };
      }
    }
    return null;
  }

  #redeclared(parsed: ParsedCell, name: string): EarlyError | null {
    const own = declarationsOf(parsed).get(name);
    if (own === undefined) return null;
    const earlier = this.#declared.get(name);
    const row = ROWS.find((words) => words.some((word) => word === earlier?.word));
    if (!earlier || !row) return { at: own.at, hint: null };
    return {
      at: own.at,
      hint:
        `hint: ${name} was declared by "${earlier.word}" in ${earlier.label}, and can be declared again by ${
          row.map((word) => `"${word}"`).join(" or ")
        } alone; or take another name, or restart the kernel`,
    };
  }
}

function isPattern(node: SyntaxNode): boolean {
  return node.type === "RegExpLiteral";
}
