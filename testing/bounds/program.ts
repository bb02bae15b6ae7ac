// A program for an engine as plain data, so that a search can vary it, cut it down and print it: rows to begin with, and
// steps that name rows by their number among those that live.
//
// Invariant: every program runs, whatever steps are left out of it.

import type { BackendName } from "../../mod.ts";
import type { ModelRule } from "../memory_model.ts";

/** How an engine is made, and what happens to it. */
export interface BoundProgram {
  readonly backend: BackendName;
  readonly threads: number;
  readonly rule: Omit<ModelRule, "maskOf">;
  /** The mask: query a and key b, by their labels, have `biases[(3a + 5b + h) mod length]`; no mask if empty. */
  readonly biases: readonly number[];
  /** How many changed keys may wait. */
  readonly edits: number;
  /** How far a stale answer may be off. */
  readonly error: number;
  /** How far followed rows may be off. */
  readonly followed: number;
  readonly onThreshold: "auto" | "patch" | "rebuild";
  readonly tolerance: number;
  readonly query: readonly (readonly number[])[];
  readonly key: readonly (readonly number[])[];
  readonly value: readonly (readonly number[])[];
  readonly steps: readonly Step[];
}

/** One step; `at` names the row whose number it is, modulo how many there are. */
export type Step =
  | {
    readonly kind: "setKey" | "setValue" | "setQuery";
    readonly at: number;
    readonly row: readonly number[];
  }
  | {
    readonly kind: "addToKey" | "addToValue";
    readonly at: number;
    readonly column: number;
    readonly delta: number;
  }
  | { readonly kind: "insert"; readonly key: readonly number[]; readonly value: readonly number[] }
  | { readonly kind: "insertQuery"; readonly row: readonly number[] }
  | { readonly kind: "delete" | "deleteQuery"; readonly at: number }
  /** Rows are taken by the bits of `rows`; none means all. */
  | { readonly kind: "read" | "peek"; readonly rows: number }
  /** `refresh` brings followed rows, which are all, up to date. */
  | { readonly kind: "flush" | "rebuild" | "reload" | "refresh" }
  | { readonly kind: "move"; readonly backend: BackendName };
