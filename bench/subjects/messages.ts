// The messages between the benchmark and the processes of its subjects, one line of JSON each.

import type { FmaLimit } from "../limit/fma_chain.ts";
import type { TimeLimits } from "../stopwatch.ts";
import type { Shape, Workload } from "../workload.ts";
import type { ScaleOutcome } from "./scale.ts";
import type { MemoryUse, Outcome, SubjectKey } from "./subject.ts";

/** The subject of a process; "limit" is the machine's own. */
export type Role = SubjectKey | { readonly kind: "limit" };

/** The requests to a process and its answers. */
export interface Exchange {
  readonly measure: {
    readonly question: { readonly shape: Shape; readonly workload: Workload; readonly limits: TimeLimits };
    readonly answer: Outcome;
  };
  readonly memory: { readonly question: { readonly shape: Shape }; readonly answer: MemoryUse };
  readonly scale: {
    readonly question: { readonly shape: Shape; readonly limits: TimeLimits };
    readonly answer: ScaleOutcome;
  };
  readonly limit: { readonly question: { readonly limits: TimeLimits }; readonly answer: FmaLimit };
}
export type Ask = keyof Exchange;
export type Question = { readonly [A in Ask]: { readonly ask: A } & Exchange[A]["question"] }[Ask];

/** `answer` is null when the process has only said that it is ready. */
export type Reply =
  | { readonly answer: Exchange[Ask]["answer"] | null }
  | { readonly failure: string };

/** Begins the lines that are replies; a peer may print others. */
export const REPLY_MARK = "\u0002";

const LONGEST_REASON = 100;

/**
 * The first line of an error without the folders of its build. A long line keeps its end, which has the
 * cause.
 */
export function reasonOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const [line] = message.trim().replaceAll(/\/\S*\//g, "").split("\n");
  if (line.length <= LONGEST_REASON) return line;
  return `${line.slice(0, LONGEST_REASON / 2)} … ${line.slice(-LONGEST_REASON / 2)}`;
}
