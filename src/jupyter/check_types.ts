/**
 * Asks the kernel to look at the types of cells, which it otherwise only takes away.
 */

import { kernelBridge } from "./widgets/kernel_bridge.ts";

/**
 * Has the kernel "Deno (Attune)" tell of mistakes in the types of each cell that is run from now on, as warnings above what
 * it shows; the cell runs all the same. The first cell waits some seconds for the language server. In other kernels, and
 * outside of notebooks, it does nothing.
 *
 * @param isOn Whether it tells of them; true unless given.
 *
 * @example
 * ```ts
 * import { checkTypes } from "@attune/attention/jupyter";
 *
 * checkTypes();
 * ```
 */
export function checkTypes(isOn = true): void {
  kernelBridge()?.checkTypes(isOn === true);
}
