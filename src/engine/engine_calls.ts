/**
 * The checks of what callers pass to an engine that is there, and the forms of some answers. The face reaches them through the core,
 * which is loaded by the first `create`, so that an import of the library does not load them.
 */

export { toMetadata } from "../base/json.ts";
export { checkColumn, checkEdit, checkEdits } from "../write/edit_checks.ts";
export { engineBundle } from "./engine_bundle.ts";
export { engineSummary, engineText } from "./engine_text.ts";
export { FollowedAttention } from "./followed_attention.ts";
export {
  toCount,
  toError,
  toExcluded,
  toHead,
  toHeads,
  toMaskChange,
  toPassing,
  toQuerySlots,
  toShift,
  toSwitch,
  toTarget,
} from "./question_options.ts";
