/**
 * The parts of Deno that are used and not promised, in one place.
 *
 * Invariant: each is looked for before it is used; where one is missing an error says so.
 */

/** What is used of Deno's core. */
export interface DenoInternals {
  /** Writes as `console` does. */
  print(text: string, isError: boolean): void;
  readonly ops: Readonly<Record<string, unknown>>;
}

/** Finds it. */
export function denoInternals(): DenoInternals {
  const key: unknown = Reflect.get(Deno, "internal");
  const internal: unknown = typeof key === "symbol" ? Reflect.get(Deno, key) : undefined;
  const core: unknown = typeof internal === "object" && internal !== null
    ? Reflect.get(internal, "core")
    : undefined;
  if (typeof core !== "object" || core === null || !("print" in core) || !("ops" in core)) {
    throw new Error(
      "denoInternals: this version of Deno has no core that can be reached, expected one that has",
    );
  }
  return core as unknown as DenoInternals;
}
