/**
 * The kernel of a notebook, where there is one.
 *
 * Invariant: asking for it never throws, in a notebook, in a program, or where there is no Deno at all.
 */

import type { MimeBundle } from "../display/mime_bundle.ts";

/** What is used of `Deno.jupyter`. */
export interface Kernel {
  /** Shows a bundle below the cell that runs. */
  display(bundle: MimeBundle, options: { readonly raw: true }): Promise<void>;
  /** The bundle of any value. */
  format(value: unknown): Promise<MimeBundle>;
  /**
   * Sends a message to every front end, at once also while a cell is busy. The stock kernel returns nothing where its
   * declaration promises a promise.
   */
  broadcast(type: string, content: Record<string, unknown>): Promise<void> | void;
}

/** The kernel, or null outside of a notebook. */
export function notebookKernel(): Kernel | null {
  try {
    // Outside a notebook the property exists, but reading it throws.
    return Reflect.get(Reflect.get(globalThis, "Deno"), "jupyter") as Kernel;
  } catch {
    return null;
  }
}
