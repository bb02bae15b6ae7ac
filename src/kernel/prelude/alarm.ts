/**
 * All timers of the kernel and its cells, behind one timer of the runtime. Of several that are due together the runtime runs
 * the jobs of the first before it calls the second, within a call of its own, where code that is terminated ends the event loop.
 *
 * Invariant: the runtime never has two of our timers; jobs begin in the order in which they are due, each in the context in
 * which it was set, and when all that the one before has queued is done, unless a crowd is due.
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
/** The runtime's own timer is late by so much at most, unless it was lost with code that was terminated. */
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
let lastNumber = 0;
let alarm: ReturnType<typeof setTimeout> | null = null;
let alarmAt = Infinity;

/** Begins a job after some milliseconds, one that can be terminated without harm; it may be dropped once it is dead. */
export function jobAfter(milliseconds: number, job: () => void, isDead: () => boolean = isNeverDead): void {
  const inContext = AsyncLocalStorage.snapshot();
  const due = {
    at: performance.now() + milliseconds,
    number: ++lastNumber,
    begin: () => inContext(() => queueMicrotask(job)),
    isDead,
  };
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

/** The runtime goes through all timers that are due, of lists that are empty by now too; it has done so when immediates come. */
function ring(): void {
  alarm = null;
  setImmediate(beginDue);
}

function beginDue(): void {
  // The first of the jobs: a loop may keep the others waiting.
  queueMicrotask(setAlarm);
  const now = performance.now(), isDue = () => heap.length > 0 && heap[0].at <= now;
  const batch = turns < CROWD ? 1 : 2 ** Math.min(30, turns - CROWD + 1);
  for (let left = batch; left > 0 && isDue(); left--) takeFirst().begin();
  turns = isDue() ? turns + 1 : 0;
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
