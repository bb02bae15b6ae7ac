/**
 * A memory that survives: an engine whose edits are on disk before anybody is told of them.
 *
 * {@link openDurable} opens a folder, or makes one. Its journal is a file of SQLite, which is part of Deno; its snapshots are files that
 * `DynamicAttention.load` reads. It needs no server and no dependency, and permission for the folder alone.
 *
 * @example
 * ```ts
 * import { openDurable } from "@attune/attention/durable";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * await using live = await openDurable(folder, {
 *   create: { query: [[1, 0]], key: [[1, 0], [0, 1]], value: [[10], [20]] },
 * });
 * const { sequence } = await live.edit([{ kind: "setValue", slot: 0, value: [40] }]); // resolves when it is on disk
 * live.delete(1); // synchronous, on disk with the next read
 * assertEquals((await live.read()).data[0], 40);
 * assertEquals(sequence, 1);
 * assertEquals(live.stats().durable.committed, 2);
 * ```
 *
 * @module
 */

/*
 * As a program: `deno run -A jsr:@attune/attention/durable inspect|verify|backup|compact FOLDER`, see `cli.ts`.
 */

export { openDurable } from "./open_durable.ts";
export { DurableAttention } from "./durable_attention.ts";
export type { DurableEdit, DurableEditOptions, DurableOptions } from "./durable_options.ts";
export type { DurableAttentionStats, DurableStats } from "./durable_stats.ts";
export {
  DurabilityError,
  type DurabilityFacts,
  type DurabilityFault,
  type Problem,
} from "./durability_error.ts";
export type { SyncMode } from "./journal_database.ts";
export type { Backup, BackupOptions } from "./backup.ts";
export type { Progress } from "./read_folder.ts";
export type { Verification, VerifyOptions } from "./verify.ts";

if (import.meta.main) {
  const { main } = await import("./cli.ts");
  Deno.exitCode = await main(Deno.args);
}
