/**
 * The state of a partition from another host that answers for it, so that a host which takes it over need not
 * read all of its records.
 *
 * Invariant: the state is one that a host had; whether it is that of the log is found out as for any
 * snapshot, by its chain.
 */

import type { LogSession } from "./log.ts";
import { hostKey, type HostReport } from "./members.ts";
import { decodeReply, decodeStatePiece, encodeRequest, REPLY_BYTES, type StateQuestion } from "./messages.ts";

/** A host that is asked makes a snapshot first. */
const PIECE_MS = 5000;
const LONGEST = 2 ** 31;
/** A copy that is begun again so often is that of a host which has no room for it. */
const MOST_BEGINNINGS = 3;

/** A state costs as much as the records of three times its bytes: it is encoded, hashed and copied. */
const WORTH = 3;

/** A snapshot of another host. */
export interface PeerState {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes of records since the newest snapshot of the log that it includes. */
  readonly tail: number;
}

/** The parts with which a host asks its peers for states. */
export interface PeerParts {
  readonly session: LogSession;
  /** Bytes of a row. */
  readonly rowBytes: number;
  /** Other hosts that are alive. */
  readonly others: () => readonly HostReport[];
}

/**
 * A snapshot of a partition from the host that has most of it; null where none has more than `after`, where
 * the records are fewer than the state is worth, or where the host gives none.
 *
 * @param after The newest record that the asking host could begin with otherwise.
 */
export async function fetchPeerState(
  parts: PeerParts,
  partition: number,
  after: number,
  signal: AbortSignal,
): Promise<PeerState | null> {
  const ready = parts.others().flatMap(({ name, partitions }) => {
    const report = partitions.get(partition);
    return report?.phase === "ready" && report.sequence > after ? [{ name, ...report }] : [];
  });
  const [best] = ready.sort((a, b) => b.sequence - a.sequence || (a.name < b.name ? -1 : 1));
  if (!best || best.tail < WORTH * best.keys * parts.rowBytes) return null;
  try {
    const bytes = await fetchFrom(parts, best.name, partition, signal);
    return bytes && { bytes, tail: best.tail };
  } catch {
    // The log has all records, so that a host that gives no state costs time alone.
    return null;
  }
}

async function fetchFrom(
  { session }: PeerParts,
  name: string,
  partition: number,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const room = session.largestMessage - 2 * REPLY_BYTES;
  let bytes = new Uint8Array(0), at = 0, sequence = 0;
  for (let beginnings = 0; beginnings <= MOST_BEGINNINGS;) {
    const question: StateQuestion = { kind: "state", sequence, from: at, room };
    const request = { question, waitMs: 0, querySequence: 0, partitions: [{ partition, sequence: 0 }] };
    const answer = await session.request(hostKey(name), encodeRequest(request), {
      timeoutMs: PIECE_MS,
      signal,
    });
    const [reply] = decodeReply(answer);
    if (reply?.status !== "ok" || reply.partition !== partition) return null;
    const piece = decodeStatePiece(reply.answer);
    if (piece.length > LONGEST || piece.bytes.length === 0) return null;
    if (piece.sequence !== sequence || piece.length !== bytes.length) {
      if (piece.from !== 0) return null;
      [bytes, at, sequence] = [new Uint8Array(piece.length), 0, piece.sequence];
      beginnings++;
    }
    if (piece.from !== at || at + piece.bytes.length > bytes.length) return null;
    bytes.set(piece.bytes, at);
    at += piece.bytes.length;
    if (at === bytes.length) return bytes;
  }
  return null;
}
