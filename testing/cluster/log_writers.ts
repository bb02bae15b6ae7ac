// Writers that append numbered records and remember what was acknowledged, and the look afterwards: every
// acknowledged record is there once, under the number that it was acknowledged by, with its bytes; no record
// is there twice, and none that was never written.

import { type ClusterLog, LogError, type LogRecord, type LogSession } from "../../src/cluster/log.ts";
import { assert, assertEquals, assertGreaterOrEqual } from "../assert.ts";

/** What was acknowledged: the text of a record, and its number. */
export type Acknowledged = Map<string, number>;

/** The body of a writer's record: its text, and filling that follows from it. */
export function bodyOf(text: string, length: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(Math.max(length, text.length + 1));
  new TextEncoder().encodeInto(text, body);
  for (let at = text.length + 1; at < body.length; at++) body[at] = (at * 31 + text.length) & 255;
  return body;
}

/** The text of a record, or an error where its bytes are none that a writer wrote. */
export function textOfBody(body: Uint8Array): string {
  const text = new TextDecoder().decode(body.subarray(0, body.indexOf(0)));
  assertEquals(body.toHex(), bodyOf(text, body.length).toHex());
  return text;
}

/**
 * Appends "NAME 0", "NAME 1", … one after the other until `stop`; a failure that passes is tried again under
 * the same id.
 */
export async function writeUntil(
  session: LogSession,
  subject: string,
  name: string,
  stop: AbortSignal,
  acknowledged: Acknowledged,
  options: { readonly length?: number; readonly pauseMs?: number; readonly from?: number } = {},
): Promise<void> {
  const { length = 300, pauseMs = 0, from = 0 } = options;
  for (let at = from; !stop.aborted; at++) {
    const text = `${name} ${at}`, body = bodyOf(text, length);
    for (let isDone = false; !isDone;) {
      try {
        acknowledged.set(text, await session.append(subject, body, { id: text, timeoutMs: 4000 }));
        isDone = true;
      } catch (error) {
        if (!(error instanceof LogError) || !error.isPassing) throw error;
      }
    }
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** All records of a subject. */
export async function readAll(log: ClusterLog, subject: string): Promise<LogRecord[]> {
  await using session = await openWithin(log, 30_000);
  const last = await session.lastSequence(subject, { timeoutMs: 30_000 });
  const found: LogRecord[] = [];
  if (last === 0) return found;
  const stop = new AbortController();
  for await (const records of session.follow(subject, 0, { signal: stop.signal })) {
    found.push(...records);
    if (found[found.length - 1].sequence >= last) stop.abort();
  }
  return found;
}

/** Opens a session, and again while the servers are not there yet. */
export async function openWithin(log: ClusterLog, ms: number): Promise<LogSession> {
  for (const until = performance.now() + ms;;) {
    try {
      return await log.open("host");
    } catch (error) {
      if (!(error instanceof LogError) || !error.isPassing || performance.now() > until) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Looks at what is there; returns the number of records. */
export function assertAllThere(records: readonly LogRecord[], acknowledged: Acknowledged): number {
  const there = new Map<string, number>();
  let before = 0;
  for (const { sequence, body } of records) {
    assertGreaterOrEqual(sequence, before + 1);
    before = sequence;
    const text = textOfBody(body);
    assert(!there.has(text), `${text} is there twice: ${there.get(text)} and ${sequence}`);
    there.set(text, sequence);
  }
  for (const [text, sequence] of acknowledged) {
    assertEquals(there.get(text), sequence, `${text} was acknowledged as ${sequence}`);
  }
  return records.length;
}
