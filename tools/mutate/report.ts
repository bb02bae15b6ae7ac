// What is printed: a line per mutant, and at the end the survivors.

import type { Verdict } from "./trial.ts";

/** Characters of code that a cell of the table shows. */
const WIDTH = 70;

/** The line of one mutant. */
export function verdictLine(verdict: Verdict): string {
  const { killer, failure, run, reaching, seconds } = verdict;
  const end = killer === null
    ? `SURVIVED ${run} of ${reaching} tests that run the line`
    : `killed by ${killer}: ${failure}`;
  return `${seconds.toFixed(1).padStart(6)} s  ${mutantText(verdict)}  ${end}`;
}

/** Survivors as a table of Markdown, and how many of all were killed. */
export function summary(verdicts: readonly Verdict[]): string {
  const survivors = verdicts.filter(({ killer }) => killer === null);
  const rows = survivors
    .sort((a, b) =>
      a.mutant.path < b.mutant.path ? -1 : a.mutant.path > b.mutant.path ? 1 : a.mutant.line - b.mutant.line
    )
    .map(({ mutant, run, reaching }) => {
      const [before, after] = shortened(mutant.before, mutant.after).map((text) =>
        `\`${text.replaceAll("|", "\\|")}\``
      );
      return `| ${mutant.path} | ${mutant.line} | ${before} → ${after} | ${run} of ${reaching} |`;
    });
  const table = ["| file | line | before → after | tests |", "| --- | --- | --- | --- |", ...rows];
  const killed = verdicts.length - survivors.length;
  return `${
    rows.length > 0 ? `${table.join("\n")}\n\n` : ""
  }${killed} of ${verdicts.length} mutants were killed`;
}

/** A mutant on one line. */
export function mutantText({ mutant }: Pick<Verdict, "mutant">): string {
  const [before, after] = shortened(mutant.before, mutant.after);
  return `${mutant.path}:${mutant.line}  ${mutant.kind}  ${before} → ${after}`;
}

/** Two texts around the place where they differ, on one line each. */
function shortened(before: string, after: string): [string, string] {
  let first = 0;
  while (first < before.length && before[first] === after[first]) first++;
  const from = Math.max(0, first - WIDTH / 2);
  const cut = (text: string) => {
    const part = text.slice(from, from + WIDTH).replace(/\s+/g, " ").trim();
    return `${from > 0 ? "…" : ""}${part}${from + WIDTH < text.length ? "…" : ""}`;
  };
  return [cut(before), cut(after)];
}
