/**
 * An engine whose rows may be called by slots or by ids of any type.
 */

import type { DynamicAttention } from "../engine/dynamic_attention.ts";
import type { RowId } from "../write/row_ids.ts";

/** Access to the slots of an engine whose rows may have ids. */
export type AnyEngine = DynamicAttention<RowId, RowId>;
