/**
 * The parts of a durable engine, which `open_durable.ts` puts together.
 */

import type { EngineCore } from "../engine/engine_core.ts";
import type { Folder } from "./folder.ts";
import type { Journal } from "./journal.ts";
import type { SyncMode } from "./journal_database.ts";
import type { FolderContent } from "./read_folder.ts";
import type { Snapshots } from "./snapshots.ts";

/** An engine, and the folder that keeps it. */
export interface DurableParts {
  readonly core: EngineCore;
  readonly journal: Journal;
  /** null where nothing may be written. */
  readonly snapshots: Snapshots | null;
  readonly folder: Folder;
  readonly client: string | null;
  readonly sync: SyncMode;
  /** What was read when the folder was opened. */
  readonly content: FolderContent;
  readonly openMs: number;
  /** Gives back the folder. */
  close(): void;
}
