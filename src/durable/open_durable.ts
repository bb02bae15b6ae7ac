/**
 * Opens a durable folder: takes its lock, makes its files where there are none, reads what is there and puts an engine over
 * it whose edits go to its journal.
 */

import { InputError } from "../base/errors.ts";
import { EngineCore } from "../engine/engine_core.ts";
import type { AnyOf } from "../engine/dynamic_attention.ts";
import { type LoadProblem, withRules } from "../engine/options.ts";
import { type MaskFunction, toMask } from "../write/mask.ts";
import { toBias } from "../write/mask_input.ts";
import type { RowId } from "../write/row_ids.ts";
import type { SlotTable } from "../write/slot_table.ts";
import { createFolder, isUnmade } from "./create_folder.ts";
import { Damage, DurabilityError } from "./durability_error.ts";
import { toDurabilityError } from "./store_errors.ts";
import { type DurableAttention, toDurable } from "./durable_attention.ts";
import type { DurableParts } from "./durable_parts.ts";
import {
  type AnyDurableOptions,
  type DurableOptions,
  type DurableProblem,
  toDurableProblem,
} from "./durable_options.ts";
import { checkSame } from "./settings.ts";
import { Folder, FolderLock, toPath } from "./folder.ts";
import { HEAD_FILE, HeadFile } from "./head_file.ts";
import type { Image } from "./image.ts";
import { Journal } from "./journal.ts";
import { type JournalDatabase, LOG_FILE } from "./journal_database.ts";
import { type FolderContent, openJournal, orDamage, readFolder } from "./read_folder.ts";
import { openToLook } from "./look.ts";
import { Snapshots } from "./snapshots.ts";

/** How often a look is tried again when the owner has removed what it was looking at. */
const LOOKS = 5;

/**
 * Opens the memory in `folder`, or makes one there: an engine whose edits survive the process, a kill and a power failure.
 *
 * Opening takes O(n + m) for the newest snapshot, O(d + dv) for each edit since, and O(m n (d + dv)) for the states, which are
 * computed anew. Rows have the bits that they had, answers are within the same bounds.
 *
 * It needs the permissions `--allow-read` and `--allow-write` for the folder alone.
 *
 * @param folder A path, or a `file:` URL; it is made where it does not exist and `create` is given.
 * @throws {DurabilityError} When somebody else owns the folder ("locked"), or what is in it is not what was written ("damaged").
 * @throws {InputError} When an option is unknown or out of range, differs from the engine that is there, or when there is
 * none and nothing to create one of.
 *
 * @example
 * ```ts
 * import { openDurable } from "@attune/attention/durable";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * const create = { query: [[0]], key: [[1], [2]], value: [[1], [3]] };
 * {
 *   await using live = await openDurable(folder, { create });
 *   const { slots, sequence } = await live.edit([{ kind: "insert", key: [3], value: [8] }]); // on disk
 *   assertEquals([slots, sequence], [[2], 1]);
 * }
 * {
 *   await using again = await openDurable(folder, { create }); // opens what is there
 *   assertEquals((await again.read()).data[0], 4);
 * }
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function openDurable<KeyId extends RowId = number, QueryId extends RowId = number>(
  folder: string | URL,
  options?: DurableOptions<KeyId, QueryId>,
): Promise<DurableAttention<AnyOf<KeyId>, AnyOf<QueryId>>>;
/** As above, of an engine without ids. */
export async function openDurable(folder: string | URL, options: DurableOptions): Promise<DurableAttention>;
export async function openDurable(
  folder: string | URL,
  options: AnyDurableOptions = {},
): Promise<DurableAttention<RowId, RowId>> {
  const operation = "openDurable", start = performance.now();
  const given = toDurableProblem(operation, options);
  const problem = { ...given, create: given.create && await withRules(operation, given.create) };
  const place = new Folder(toPath(operation, folder));
  try {
    return toDurable(
      problem.readOnly
        ? await openReadOnly(operation, place, problem, start)
        : await openOwned(operation, place, problem, start),
    );
  } catch (error) {
    throw toDurabilityError(operation, place.path, error);
  }
}

async function openOwned(
  operation: string,
  folder: Folder,
  problem: DurableProblem,
  start: number,
): Promise<DurableParts> {
  const { create, sync } = problem;
  if (create) folder.make();
  else if (folder.names().length === 0) throw noEngine(operation, folder);
  const lock = FolderLock.take(operation, folder);
  const opened: { close(): void }[] = [{ close: () => lock.release() }];
  let engine: EngineCore | null = null;
  try {
    if (await orDamage(() => Promise.resolve(isUnmade(folder)))) {
      if (!create) throw noEngine(operation, folder);
      await createFolder(folder, create, sync);
    }
    for (const name of folder.names()) if (name.endsWith(".tmp")) folder.remove(name);
    const database = await orDamage(() => Promise.resolve(openJournal(folder, { readOnly: false, sync })));
    opened.push(database);
    const content = await orDamage(() => readFolder(operation, folder, database));
    // A process that was killed, or whose sync failed, may have left commits that are not on disk yet: before anybody is told
    // of them they are written once more, and synced.
    if (!database.checkpoint()) await folder.syncFile(LOG_FILE);
    const head = HeadFile.open(folder.file(HEAD_FILE), sync);
    opened.push(head);
    head.write(content.place);
    const store = { database, head };
    const { core, journal } = await makeEngine(operation, folder, problem, content, store);
    engine = core;
    database.upgrade();
    const { snapshot: newest, bytesBehind } = content;
    const { journalBytes } = problem;
    const snapshots = new Snapshots({ folder, database, journal, core, journalBytes, newest, bytesBehind });
    const close = () => {
      try {
        if (journal.failure !== null) return;
        database.checkpoint();
        head.sync();
      } finally {
        closeAll(opened);
      }
    };
    const { client } = problem, openMs = performance.now() - start;
    return { core, journal, snapshots, folder, client, sync, content, openMs, close };
  } catch (error) {
    await engine?.dispose();
    closeAll(opened);
    throw error;
  }
}

async function openReadOnly(
  operation: string,
  folder: Folder,
  problem: DurableProblem,
  start: number,
): Promise<DurableParts> {
  for (let look = 1;; look++) {
    if (folder.names().length === 0) throw noEngine(operation, folder);
    try {
      const content = await openToLook(folder, (database) => readFolder(operation, folder, database));
      const { core, journal } = await makeEngine(operation, folder, problem, content, null);
      const { client, sync } = problem, openMs = performance.now() - start;
      return { core, journal, snapshots: null, folder, client, sync, content, openMs, close: () => {} };
    } catch (error) {
      // The owner may have removed a snapshot between its pointer and its file.
      if (!(error instanceof Damage) || look === LOOKS) throw error;
    }
  }
}

/** An engine over what was read, and its journal. */
async function makeEngine(
  operation: string,
  folder: Folder,
  { create, load }: DurableProblem,
  { image, place }: FolderContent,
  store: { readonly database: JournalDatabase; readonly head: HeadFile } | null,
): Promise<{ readonly core: EngineCore; readonly journal: Journal }> {
  const { clients, said, besides, keys: { slots: keySlots }, queries: { slots: querySlots } } = image;
  if (create) {
    const { settings, mask } = image;
    checkSame(operation, create, { settings, mask, keys: keySlots.save(), queries: querySlots.save() });
  }
  const ids = { keys: keySlots.ids !== null, queries: querySlots.ids !== null };
  const journal = new Journal({ folder: folder.path, store, place, clients, said, besides, ids });
  let slots: Slots = { keySlots, querySlots };
  const mask = load.mask && noted(load.mask as MaskFunction<RowId, RowId>, journal, () => slots);
  if (mask) askUnsaid(operation, image, mask);
  const problem: LoadProblem = { ...load, ...(mask ? { mask } : {}) };
  const core = await EngineCore.restore(operation, image.toSnapshot(), problem, { journal });
  slots = core.rules;
  journal.attach(core);
  return { core, journal };
}

/** Which slots rows are in. */
interface Slots {
  readonly keySlots: SlotTable;
  readonly querySlots: SlotTable;
}

/** A mask function whose answers are kept. It is asked by what rows are called, and answers are kept by slots. */
function noted(
  mask: MaskFunction<RowId, RowId>,
  journal: Journal,
  slotsNow: () => Slots,
): MaskFunction<RowId, RowId> {
  return (query, key, head) => {
    const answer = mask(query, key, head);
    const bias = toBias(answer);
    if (Number.isNaN(bias)) return answer;
    const { keySlots, querySlots } = slotsNow();
    journal.noteSaid(slotNamed(query, querySlots), slotNamed(key, keySlots), head, bias);
    return answer;
  };
}

function slotNamed(name: RowId, { ids }: SlotTable): number {
  return (ids ? ids.slotOf(name) : name) as number;
}

/** Asks about pairs of which a process that was killed had not asked yet. */
function askUnsaid(operation: string, image: Image, mask: MaskFunction<RowId, RowId>): void {
  const { heads } = image.settings.layout;
  const asked = toMask(operation, mask, heads, 0, 0);
  asked?.speakOf(image.keys.slots, image.queries.slots);
  for (const [query, key, head] of [...image.unsaid()]) asked?.bias(query, key, head);
}

function noEngine(operation: string, folder: Folder): InputError {
  return new InputError(operation, `${folder.path} holds no engine`, "one, or the option create");
}

/** Closes what was opened, the last first, whatever fails meanwhile. */
function closeAll(opened: { close(): void }[]): void {
  for (let last = opened.pop(); last; last = opened.pop()) {
    try {
      last.close();
    } catch (error) {
      if (error instanceof DurabilityError) throw error;
    }
  }
}
