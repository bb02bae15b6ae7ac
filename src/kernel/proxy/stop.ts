/**
 * The stop button.
 *
 * Code that awaits is stopped by our part in the kernel: the awaits throw, once; after a second stop no await goes on. Code
 * that computes does not hear of it; the kernel terminates it, which must not happen to a kernel that only waits, so it is
 * asked first. A cell that was terminated after an await has nobody left to say that it is over: its promise is found by
 * collecting garbage.
 *
 * Invariant: a kernel is terminated only while its thread computes, and killed only when nothing has come of that.
 */

import type { ChildKernel } from "./child.ts";

/** Code that listens for the signal ends in its own way first. */
const GRACE_MS = 60;
const END_MS = 250;
const ATTEMPTS = 12;
/** Computing for so long without an answer is a loop. Where that cannot be measured, silence for longer is. */
const COMPUTED_MS = 400, SILENT_MS = 1500;
/** A collection of garbage answers nothing either, for a millisecond for each megabyte, say; small ones are short. */
const SMALL_MB = 300;
/** A line is lost when code was terminated and the thread then rests for this long without an answer. */
const LOST_MS = 500;
/** Nothing at all for so long is the end. */
const DEAD_MS = 8000, STARVED_MS = 120_000;
const LOOK_MS = 25;

/** How it went. */
export type StopResult = "ended" | "waits" | "dead";

/** Whether its event loop turns, its thread computes, or nothing comes of it. */
type Pulse = "turns" | "computes" | "silent";

/** A cell, or the handling of a message, that is to be stopped. */
export interface Stoppable {
  /** Whether it has ended within some time. */
  readonly isOver: (milliseconds: number) => Promise<boolean>;
  /** Whether its end is told of also when it is terminated; of a cell's, by the kernel, and of no other. */
  readonly hasEnd: boolean;
  /** How often the button has been pressed. */
  readonly presses: () => number;
  /** Told that the kernel has heard of the stop. */
  readonly onHeard: () => void;
  /** Whether what runs was stopped before: then no await of it goes on. */
  readonly isLast: () => boolean;
}

/** Stops what runs. */
export async function stopKernel(
  child: ChildKernel,
  { isOver, hasEnd, presses, onHeard, isLast }: Stoppable,
): Promise<StopResult> {
  await child.signal();
  if (await isOver(GRACE_MS)) return "ended";
  let wasTerminated = false, unanswered = 0, pulse: Pulse = "turns";
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const press = presses();
    pulse = await feelPulse(child, press);
    if (pulse === "turns") onHeard();
    if (await isOver(0)) return "ended";
    if (pulse === "computes") {
      if (!await child.terminate()) unanswered++;
      wasTerminated = true;
      // Code that begins to compute anew each time that it is terminated ends with the kernel, if somebody has asked twice.
      if (unanswered > 2 && isLast()) return "dead";
    } else if (pulse === "silent") return wasTerminated ? "dead" : "waits";
    if (await isOver(END_MS)) return "ended";
    if (pulse !== "turns" || presses() !== press) continue;
    if (!wasTerminated && !isLast()) return "waits";
    if (!hasEnd) return "ended";
    await child.link.ask({ type: "collect" }, DEAD_MS);
    if (await isOver(END_MS)) return "ended";
  }
  return pulse === "computes" && isLast() ? "dead" : "waits";
}

/** Tells the kernel to stop, and says whether it hears that. */
async function feelPulse(child: ChildKernel, press: number): Promise<Pulse> {
  let hasAnswered = false;
  const ask = async () => {
    const answer = await child.link.ask({ type: "stop", press }, STARVED_MS);
    hasAnswered ||= answer !== null;
  };
  let answered = ask();
  const startedAt = performance.now(), before = await child.computedMs();
  const patience = COMPUTED_MS + Math.max(0, (await child.memoryMb() ?? 0) - SMALL_MB);
  let movedAt = startedAt, last = before;
  for (;;) {
    await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, LOOK_MS))]);
    if (hasAnswered) return "turns";
    const computed = await child.computedMs(), now = performance.now(), silentFor = now - startedAt;
    if (computed !== last) movedAt = now;
    last = computed;
    if (child.link.isDoubtful && now - movedAt > LOST_MS && child.link.switchLine()) {
      answered = Promise.race([answered, ask()]);
      movedAt = now;
    }
    // On a busy machine a thread may compute little for long; it is not dead for that.
    const isStarved = before !== null && computed !== null && computed > before && silentFor < STARVED_MS;
    if (silentFor > DEAD_MS && !isStarved) return "silent";
    const isComputing = before === null || computed === null
      ? silentFor > SILENT_MS
      : computed - before > patience;
    if (isComputing) return "computes";
  }
}
