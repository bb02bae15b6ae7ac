/**
 * The values of the log about a subject: its newest snapshot, a place that was reached, and the first record
 * that is kept.
 *
 *     snap.SUBJECT    the newest verified snapshot, and the sequence of the one before it
 *     mark.SUBJECT    a sequence that was reached and the chain behind it: who has read that far must have the same
 *     purge.SUBJECT   records below this sequence are gone or will be
 */

import { HASH_BYTES } from "./batch.ts";
import { Damage } from "./cluster_error.ts";
import { countIn, fromHex, readJson, textIn, toHex, writeJson } from "./json_value.ts";
import type { LogSession } from "./log.ts";

/** A place that was reached. */
export interface Mark {
  readonly sequence: number;
  readonly chain: Uint8Array<ArrayBuffer>;
}

/** A snapshot that was written and read again. */
export interface SnapshotPointer extends Mark {
  /** The name of the object. */
  readonly object: string;
  readonly bytes: number;
  /** The sequence of the snapshot before it, 0 for none. */
  readonly previous: number;
}

/** A value and its revision, 0 for none. */
export interface Pointed<T> {
  readonly value: T | null;
  readonly revision: number;
}

/** The name of a snapshot's object. */
export function snapshotName(subject: string, sequence: number): string {
  return `snap.${subject}.${sequence}`;
}

/** The newest snapshot of a subject. */
export async function readSnapshotPointer(
  session: LogSession,
  subject: string,
): Promise<Pointed<SnapshotPointer>> {
  const key = `snap.${subject}`, found = await session.get(key);
  if (!found?.value) return { value: null, revision: 0 };
  const json = readJson("snapshot", key, found.value);
  const mark = toMark(json), object = textIn(json, "object");
  const bytes = countIn(json, "bytes"), previous = countIn(json, "previous");
  if (mark === null || object === null || bytes === null || previous === null) {
    throw new Damage(`value ${key} is no pointer to a snapshot`);
  }
  return { value: { ...mark, object, bytes, previous }, revision: found.revision };
}

/** Sets the newest snapshot; false if another one was set meanwhile. */
export async function writeSnapshotPointer(
  session: LogSession,
  subject: string,
  { sequence, chain, object, bytes, previous }: SnapshotPointer,
  revision: number,
): Promise<boolean> {
  const value = writeJson({ sequence, chain: toHex(chain), object, bytes, previous });
  return await session.put(`snap.${subject}`, value, { revision }) !== null;
}

/** The place that is known to have been reached; null if there is none. */
export async function readMark(session: LogSession, subject: string): Promise<Mark | null> {
  const key = `mark.${subject}`, found = await session.get(key);
  if (!found?.value) return null;
  const mark = toMark(readJson("mark", key, found.value));
  if (mark === null) throw new Damage(`value ${key} is no mark`);
  return mark;
}

/**
 * Notes that a place was reached. A mark that is older than the one that is there does no harm, since both
 * are true.
 */
export async function writeMark(
  session: LogSession,
  subject: string,
  { sequence, chain }: Mark,
): Promise<void> {
  await session.put(`mark.${subject}`, writeJson({ sequence, chain: toHex(chain) }));
}

/** From where on records are kept; 1 if nothing was purged. */
export async function readPurged(session: LogSession, subject: string): Promise<number> {
  const key = `purge.${subject}`, found = await session.get(key);
  if (!found?.value) return 1;
  const below = countIn(readJson("purge", key, found.value), "below");
  if (below === null) throw new Damage(`value ${key} is no number`);
  return below;
}

/** Says that records below a sequence are about to be purged. */
export async function writePurged(session: LogSession, subject: string, below: number): Promise<void> {
  await session.put(`purge.${subject}`, writeJson({ below }));
}

function toMark(json: Readonly<Record<string, unknown>>): Mark | null {
  const sequence = countIn(json, "sequence"), chain = fromHex(textIn(json, "chain"), HASH_BYTES);
  return sequence === null || chain === null ? null : { sequence, chain };
}
