/**
 * The part of the kernel that lives beside the cells: the proxy has it imported before the first of them. It speaks to the
 * proxy over a line of its own, which works also while a cell waits.
 *
 * Invariant: cells see nothing of it but one symbol and `_`; it begins once.
 */

import type { PreludeSettings } from "./bridge.ts";
import { Prelude } from "./prelude.ts";
import { Deno, JSON } from "../natives.ts";

let begun: Prelude | null = null;

/** Begins, or connects anew when the line was lost. The settings hold secrets: their file is gone once it was read. */
export async function begin(file: string): Promise<void> {
  const settings = JSON.parse(Deno.readTextFileSync(file)) as PreludeSettings;
  Deno.removeSync(file);
  if (begun) return await begun.connect(settings);
  begun = new Prelude(settings);
  await begun.connect(settings);
  begun.furnish(settings);
}
