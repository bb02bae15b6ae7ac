/**
 * The way from a widget to the kernel it lives in.
 */

import type { KernelBridge } from "../../kernel/prelude/bridge.ts";

/** The kernel "Deno (Attune)" from the inside; null in any other, where nothing comes back from the front end. */
export function kernelBridge(): KernelBridge | null {
  const bridge: unknown = Reflect.get(globalThis, Symbol.for("attune.kernel"));
  return typeof bridge === "object" && bridge !== null ? bridge as KernelBridge : null;
}

/** Shows something below the cell at once. */
export async function broadcastDisplay(data: Record<string, unknown>): Promise<void> {
  const kernel: unknown = Reflect.get(Reflect.get(globalThis, "Deno"), "jupyter");
  await (kernel as { broadcast(type: string, content: unknown): unknown })
    .broadcast("display_data", { data, metadata: {}, transient: {} });
}
