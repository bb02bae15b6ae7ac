// Compares two runs of a notebook: the texts that a reader sees, and of other outputs their kinds.

import { hasTag, joined, type Notebook, type Output } from "./document.ts";

/**
 * The differences, one sentence per cell; empty if the notebooks show the same. Plain text, streams and
 * errors are compared letter by letter, pictures, pages and data by their kinds alone, as are all outputs of
 * a cell with the tag `volatile`, and those of all cells with `kindsAlone`, for a notebook whose data is
 * missing.
 */
export function differences(committed: Notebook, executed: Notebook, kindsAlone = false): string[] {
  return executed.cells.flatMap((cell, at) => {
    if (cell.cell_type !== "code") return [];
    const before = committed.cells[at];
    const isVolatile = kindsAlone || hasTag(cell, "volatile");
    const [shownBefore, shownNow] = [before, cell].map(({ outputs = [] }) =>
      outputs.map((output) => shown(output, isVolatile)).join("\n")
    );
    const found: string[] = [];
    if (before.execution_count !== cell.execution_count) {
      found.push(
        `cell ${at} is committed with number ${before.execution_count}, and is ${cell.execution_count}`,
      );
    }
    if (shownBefore !== shownNow) {
      found.push(`cell ${at} is committed with\n${indent(shownBefore)}\nand shows\n${indent(shownNow)}`);
    }
    return found;
  });
}

function shown(output: Output, isVolatile: boolean): string {
  const { output_type: type, name, text, ename, evalue } = output;
  const data = (output.data ?? {}) as Record<string, unknown>;
  const kinds = [type, ...name === undefined ? [] : [String(name)], ...Object.keys(data).sort()].join(" ");
  if (isVolatile) return kinds;
  const texts = [text, ename, evalue, data["text/plain"]].filter((part) => part !== undefined).map(joined);
  return [kinds, ...texts].join("\n");
}

function indent(text: string): string {
  return text.split("\n").map((line) => `  ${line}`).join("\n");
}
