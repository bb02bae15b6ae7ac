// A folder with all that a version of the format has, to be kept in `tests/durable/folders` once that version is released:
//
//     deno run -A --config deno.json testing/durable/version_folder.ts FOLDER

import type { RowId } from "../../mod.ts";
import { type DurableAttention, openDurable } from "../../src/durable/mod.ts";
import { adagrad, type OnlineLearner } from "../../src/learning/mod.ts";
import { EditStream, prepareNext, SMALL, type StreamSettings } from "./edit_stream.ts";

/** What the folder of a version holds. */
export interface VersionFolder {
  readonly stream: StreamSettings;
  /** Batches of the stream, of which snapshots were taken behind the 20th and the 40th. */
  readonly batches: number;
  /** What was replayed when it was opened: batches, and what else is numbered. */
  readonly replayed: number;
  /** Whether there are metadata and a learner that has made steps. */
  readonly hasMore: boolean;
  /** Clients beside the writer, whose last call has the number of the 50th batch. */
  readonly otherClients?: readonly string[];
}

const OTHER_CLIENTS = ["another", "née"];

/** By version of the format. */
export const VERSION_FOLDERS: Readonly<Record<string, VersionFolder>> = {
  "1": { stream: { ...SMALL, seed: 101, causal: true }, batches: 60, replayed: 20, hasMore: false },
  "2": {
    stream: { ...SMALL, seed: 102, keys: 8, causal: true, moves: true, ids: true, maskEdits: true },
    batches: 60,
    replayed: 51,
    hasMore: true,
  },
  "3": {
    stream: {
      ...SMALL,
      seed: 103,
      keys: 8,
      causal: true,
      moves: true,
      shifts: true,
      ids: true,
      maskEdits: true,
    },
    batches: 60,
    replayed: 58,
    hasMore: true,
    otherClients: OTHER_CLIENTS,
  },
};

/** The metadata of the folders that have some. */
export const METADATA = { model: "of this version" };

/** The learner of the folders that have one; it goes on where it was. */
export function learnerOf(live: DurableAttention<RowId, RowId>): Promise<OnlineLearner<RowId, RowId>> {
  // So small a rate leaves rows as they are, and the optimizer has states of them.
  return live.learner({ optimizer: adagrad(), rate: 1e-30 });
}

if (import.meta.main) {
  const [folder] = Deno.args;
  const [version, { stream: settings, batches }] = Object.entries(VERSION_FOLDERS).slice(-1)[0];
  const stream = new EditStream(settings);
  const live = await openDurable<RowId, RowId>(folder, {
    create: stream.options(),
    client: "writer",
    snapshot: { journalBytes: Infinity },
  });
  const learner = await learnerOf(live);
  await live.save({ metadata: METADATA });
  while (stream.made < batches) {
    prepareNext(live, stream);
    await live.edit(stream.next(), { clientSequence: stream.made });
    if (stream.made % 20 === 10) {
      for (const query of live.queryIds()) await learner.learnOne({ query }, [0, 1, 0]);
      for (const client of OTHER_CLIENTS) await live.edit([], { client, clientSequence: stream.made });
    }
    if (stream.made === 20 || stream.made === 40) await live.snapshot();
  }
  await live.dispose();
  await Deno.remove(`${folder}/LOCK`);
  console.log(`the folder of version ${version} is in ${folder}`);
}
