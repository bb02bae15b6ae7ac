/**
 * An engine whose rows may be called by slots or by ids of any type.
 */

import type { DynamicAttention } from "../engine/dynamic_attention.ts";
import type { RowId } from "../write/row_ids.ts";

/** What is computed from the slots of an engine, where its rows may have other names. */
export type AnyEngine = DynamicAttention<RowId, RowId>;
