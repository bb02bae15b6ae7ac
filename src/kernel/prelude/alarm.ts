/**
 * All timers and immediates of the kernel and its cells, behind one timer and one immediate of the runtime. Of several that are
 * due together the runtime runs the jobs of the first before it calls the second, within a call of its own, where code that is
 * terminated ends the event loop.
 *
 * Invariant: the runtime never has two of our timers, nor two of our immediates; jobs begin in the order in which they are due,
 * each in the context in which it was set, and when all that the one before has queued is done, unless a crowd is due.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { clearTimeout, Math, performance, queueMicrotask, setImmediate, setTimeout } from "../natives.ts";

/** A job that waits for its time. */
interface Due {
  readonly at: number;
  readonly number: number;
  readonly begin: () => void;
  /** Whether the job would do nothing, since its timer was cleared. */
  readonly isDead: () => boolean;
}

/** The runtime knows no longer time. */
export const LONGEST_MS = 2 ** 31 - 1;
/** The runtime's own timer, or immediate, is late by so much at most, unless it was lost with code that was terminated. */
const LATE_MS = 100;
/** This many jobs that are due together have a turn of the event loop each, which takes a millisecond; then batches double. */
const CROWD = 8;
/** Those that were cleared are looked for when the heap has doubled, beyond this length. */
const LEAST_SWEEP = 1024;
/** A heap: none is due before the one at half its place. */
let heap: Due[] = [];
let sweepAt = LEAST_SWEEP;
/** Turns in a row that have left due jobs behind. */
let turns = 0;
/** Jobs of turns to come; those before `begun` have begun. */
let soon: (() => void)[] = [];
let begun = 0;
/** Turns in a row that have left some of those behind. */
let soonTurns = 0;
/** Whether the runtime's timer has called, and no turn has begun what is due since. */
let hasRung = false;
/** Whether the last turn was one of timers. */
let wasOfTimers = false;
/** When the next turn was asked for; long ago where none was. */
let turnAt = -Infinity;
let lastNumber = 0;
let alarm: ReturnType<typeof setTimeout> | null = null;
let alarmAt = Infinity;

/** Begins a job after some milliseconds, one that can be terminated without harm; it may be dropped once it is dead. */
export function jobAfter(milliseconds: number, job: () => void, isDead: () => boolean = isNeverDead): void {
  const due = { at: performance.now() + milliseconds, number: ++lastNumber, begin: beginningOf(job), isDead };
  if (heap.length >= sweepAt) sweep();
  let place = heap.push(due) - 1;
  for (let above = (place - 1) >> 1; place > 0 && isBefore(due, heap[above]); above = (place - 1) >> 1) {
    heap[place] = heap[above];
    place = above;
  }
  heap[place] = due;
  setAlarm();
}

/** Sets the runtime's timer for what is due first. */
function setAlarm(): void {
  if (heap.length === 0) return;
  const [{ at }] = heap, now = performance.now();
  if (alarm !== null) {
    if (alarmAt <= at && alarmAt > now - LATE_MS) return;
    clearTimeout(alarm);
  }
  alarmAt = at;
  alarm = setTimeout(ring, Math.min(LONGEST_MS, Math.max(1, Math.ceil(at - now))));
}

/** Begins a job in a turn of the event loop to come, when those before it have begun. */
export function jobSoon(job: () => void): void {
  soon.push(beginningOf(job));
  setTurn();
}

/** Queues a job in the context of now. */
function beginningOf(job: () => void): () => void {
  const inContext = AsyncLocalStorage.snapshot();
  return () => inContext(() => queueMicrotask(job));
}

/** The runtime goes through all timers that are due, of lists that are empty by now too; it has done so when immediates come. */
function ring(): void {
  alarm = null;
  hasRung = true;
  setTurn();
}

/** Sets the runtime's immediate. */
function setTurn(): void {
  const now = performance.now();
  if (turnAt > now - LATE_MS) return;
  turnAt = now;
  setImmediate(takeTurn);
}

/** Begins either what is due, or what was to begin soon: a row of the one does not keep the other waiting. */
function takeTurn(): void {
  turnAt = -Infinity;
  // The first of the jobs: a loop may keep the others waiting.
  queueMicrotask(goOn);
  wasOfTimers = hasRung && (begun === soon.length || !wasOfTimers);
  if (wasOfTimers) beginDue();
  else beginSoon();
}

function goOn(): void {
  setAlarm();
  if (hasRung || begun < soon.length) setTurn();
}

function beginDue(): void {
  hasRung = false;
  const now = performance.now(), isDue = () => heap.length > 0 && heap[0].at <= now;
  for (let left = batchAfter(turns); left > 0 && isDue(); left--) takeFirst().begin();
  turns = isDue() ? turns + 1 : 0;
}

function beginSoon(): void {
  for (let left = batchAfter(soonTurns); left > 0 && begun < soon.length; left--) soon[begun++]();
  soonTurns = begun < soon.length ? soonTurns + 1 : 0;
  if (2 * begun < soon.length) return;
  // What has begun need not be kept.
  soon = soon.slice(begun);
  begun = 0;
}

/** How many jobs begin together after so many turns that have left some behind. */
function batchAfter(turns: number): number {
  return turns < CROWD ? 1 : 2 ** Math.min(30, turns - CROWD + 1);
}

/** Drops what is dead. */
function sweep(): void {
  // A sorted list is a heap.
  heap = heap.filter(({ isDead }) => !isDead()).sort((a, b) => isBefore(a, b) ? -1 : 1);
  sweepAt = Math.max(LEAST_SWEEP, 2 * heap.length);
}

function isNeverDead(): boolean {
  return false;
}

function takeFirst(): Due {
  const [first] = heap, last = heap.pop()!;
  if (heap.length === 0) return first;
  let place = 0;
  for (let below = 1; below < heap.length; below = 2 * place + 1) {
    if (below + 1 < heap.length && isBefore(heap[below + 1], heap[below])) below++;
    if (!isBefore(heap[below], last)) break;
    heap[place] = heap[below];
    place = below;
  }
  heap[place] = last;
  return first;
}

function isBefore(a: Due, b: Due): boolean {
  return a.at < b.at || a.at === b.at && a.number < b.number;
}
