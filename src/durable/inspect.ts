/**
 * Looks at a durable folder: what it holds, without an engine.
 */

import type { JsonValue } from "../base/json.ts";
import type { HeadLayout } from "../numerics/head_layout.ts";
import { type Folder, isLocked } from "./folder.ts";
import { openToLook } from "./look.ts";
import { readFolder } from "./read_folder.ts";
import type { SlotTable } from "../write/slot_table.ts";

/** What a folder holds. */
export interface Inspection {
  /** Edits 1 to this one. */
  readonly sequence: number;
  /** Live keys. */
  readonly keyCount: number;
  /** Live queries. */
  readonly queryCount: number;
  readonly layout: HeadLayout;
  readonly mask: "none" | "matrix" | "editable matrix" | "function";
  /** What keys are called. */
  readonly keyIds: "slots" | "given" | "auto";
  /** What queries are called. */
  readonly queryIds: "slots" | "given" | "auto";
  /** The caller's metadata; null where there are none. */
  readonly metadata: JsonValue;
  /** What is kept beside rows, the states of a learner for example, and its bytes. */
  readonly beside: { readonly count: number; readonly bytes: number };
  /** The snapshot files, the newest first. */
  readonly snapshots: readonly { readonly sequence: number; readonly bytes: number }[];
  /** Edits behind the newest snapshot. */
  readonly records: number;
  /** Bytes of their records. */
  readonly recordBytes: number;
  /** Bytes of all files. */
  readonly fileBytes: number;
  readonly clients: number;
  /** Whether an owner has it open. */
  readonly isOpen: boolean;
  /** Damage that could be done without. */
  readonly damage: readonly string[];
}

/** @throws {Damage} When it cannot be read. */
export async function inspectFolder(operation: string, folder: Folder): Promise<Inspection> {
  const { image, place, bytesBehind, replayed, damage } = await openToLook(folder, (database) => {
    return readFolder(operation, folder, database);
  });
  const sizeOf = (name: string) => Deno.statSync(folder.file(name)).size;
  return {
    sequence: place.sequence,
    keyCount: image.keys.slots.count,
    queryCount: image.queries.slots.count,
    layout: image.settings.layout,
    mask: image.mask?.kind === "matrix" && image.mask.isEditable
      ? "editable matrix"
      : image.mask?.kind ?? "none",
    keyIds: idsOf(image.keys.slots),
    queryIds: idsOf(image.queries.slots),
    metadata: image.history.metadata ?? null,
    beside: { count: image.besides.size, bytes: image.besides.bytes },
    snapshots: folder.snapshots().map((sequence) => {
      return { sequence, bytes: sizeOf(`snapshot-${sequence}.safetensors`) };
    }),
    records: replayed,
    recordBytes: bytesBehind,
    fileBytes: folder.names().reduce((sum, name) => sum + sizeOf(name), 0),
    clients: image.clients.count,
    isOpen: isLocked(folder),
    damage,
  };
}

function idsOf({ ids }: SlotTable): Inspection["keyIds"] {
  return ids === null ? "slots" : ids.isAuto ? "auto" : "given";
}
