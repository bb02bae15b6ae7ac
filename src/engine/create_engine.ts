/**
 * Engines with injected parts, for tests and for other parts of the library.
 */

import { DynamicAttention } from "./dynamic_attention.ts";
import { EngineCore, type EngineSeams } from "./engine_core.ts";
import { type DynamicAttentionOptions, type LoadOptions, toEngineProblem, toLoadProblem } from "./options.ts";

/** As {@link DynamicAttention.create}, with the parts in `seams`. */
export async function createEngine(
  options: DynamicAttentionOptions,
  seams?: EngineSeams,
): Promise<DynamicAttention> {
  const operation = "DynamicAttention.create";
  return toFace(await EngineCore.create(operation, toEngineProblem(operation, options), seams));
}

/**
 * As {@link DynamicAttention.load}, with the parts in `seams`. Nothing else may change the bytes meanwhile.
 */
export async function loadEngine(
  bytes: Uint8Array<ArrayBuffer>,
  options: LoadOptions = {},
  seams?: EngineSeams,
): Promise<DynamicAttention> {
  const operation = "DynamicAttention.load";
  return toFace(await EngineCore.load(operation, bytes, toLoadProblem(operation, options), seams));
}

/** A public face of a core; the constructor is private, so that users call `create` or `load`. */
export function toFace(core: EngineCore): DynamicAttention {
  return Reflect.construct(DynamicAttention, [core]);
}
