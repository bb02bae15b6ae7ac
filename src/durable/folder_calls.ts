/**
 * The calls of a durable engine that are about its folder: snapshots, checks, copies, learners, what it tells, and its end.
 */

import { takeOptions } from "../base/names.ts";
import type { DynamicAttention } from "../engine/dynamic_attention.ts";
import type { LearnerOptions } from "../learning/learner_options.ts";
import type { OnlineLearner } from "../learning/online_learner.ts";
import type { RowId } from "../write/row_ids.ts";
import { type Backup, backupFolder, type BackupOptions } from "./backup.ts";
import type { DurableParts } from "./durable_parts.ts";
import type { DurableStats } from "./durable_stats.ts";
import { Folder, toPath } from "./folder.ts";
import { toDurabilityError } from "./store_errors.ts";
import { type Verification, verifyFolder, type VerifyOptions } from "./verify.ts";

/** Writes a snapshot of all edits made so far. */
export async function takeSnapshot(operation: string, parts: DurableParts): Promise<void> {
  const { core, journal, snapshots } = parts;
  core.checkCall(operation);
  if (!snapshots) throw journal.readOnlyError(operation);
  await snapshots.take(operation);
  if (journal.failure) throw journal.failure;
}

/** Checks the folder, as of the call. */
export async function verifyOpen(
  operation: string,
  parts: DurableParts,
  options: VerifyOptions,
): Promise<Verification> {
  const { core, folder } = parts;
  core.checkCall(operation);
  const given = takeOptions(operation, options, ["deep", "onProgress"]);
  return await whileKept(operation, parts, () => verifyFolder(operation, folder, given));
}

/** Copies the folder, as of the call. */
export async function backupOpen(
  operation: string,
  parts: DurableParts,
  target: string | URL,
  options: BackupOptions,
): Promise<Backup> {
  const { core, folder } = parts;
  core.checkCall(operation);
  const { onProgress } = takeOptions(operation, options, ["onProgress"]);
  const to = new Folder(toPath(operation, target));
  return await whileKept(operation, parts, () => backupFolder(operation, folder, to, onProgress));
}

/** Runs what reads the files of the folder once all edits made so far are there; none of them is removed meanwhile. */
async function whileKept<T>(
  operation: string,
  { journal, snapshots, folder }: DurableParts,
  read: () => Promise<T>,
): Promise<T> {
  await journal.kept();
  try {
    return await (snapshots ? snapshots.hold(read) : read());
  } catch (error) {
    throw toDurabilityError(operation, folder.path, error);
  }
}

/** A learner whose states are in the journal. */
export async function learnDurably<KeyId extends RowId, QueryId extends RowId>(
  operation: string,
  { core, journal, folder }: DurableParts,
  live: DynamicAttention<KeyId, QueryId>,
  options: LearnerOptions<KeyId, QueryId>,
): Promise<OnlineLearner<KeyId, QueryId>> {
  core.checkCall(operation);
  if (journal.isReadOnly) throw journal.readOnlyError(operation);
  const { openLearner } = await import("./durable_learner.ts");
  core.checkCall(operation);
  try {
    return openLearner(operation, live, journal, options);
  } catch (error) {
    throw toDurabilityError(operation, folder.path, error);
  }
}

/** The sizes on disk and the times of an open folder. */
export function durableStats(
  { journal, snapshots, folder, sync, content, openMs }: DurableParts,
): DurableStats {
  return {
    folder: folder.path,
    readOnly: journal.isReadOnly,
    sync,
    sequence: journal.sequence,
    committed: journal.committed.sequence,
    journalBytes: snapshots?.bytesBehind ?? content.bytesBehind,
    snapshot: snapshots?.newest ?? { ...content.snapshot, ms: null },
    isSnapshotting: snapshots?.isRunning ?? false,
    longestStopMs: snapshots?.longestStopMs ?? 0,
    snapshotFailure: snapshots?.failure ?? null,
    syncs: journal.times.count,
    commitP50Ms: journal.times.quantile(0.5),
    commitP99Ms: journal.times.quantile(0.99),
    replayed: content.replayed,
    openMs,
    unconfirmed: content.unconfirmed,
    lost: content.lost,
    clients: journal.clients.count,
    damage: content.damage,
  };
}

/** Commits what there is, waits for what was asked before, and gives back the engine and the folder. */
export async function closeFolder(operation: string, parts: DurableParts): Promise<void> {
  const { core, journal, snapshots, folder, close } = parts;
  const failedBefore = journal.failure;
  journal.commit();
  const disposed = core.dispose();
  await snapshots?.stop();
  await disposed;
  journal.commit();
  try {
    close();
  } catch (error) {
    throw toDurabilityError(operation, folder.path, error);
  }
  if (journal.failure && !failedBefore) throw journal.failure;
}
