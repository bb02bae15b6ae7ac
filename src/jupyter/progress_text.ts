/**
 * Progress in words, the same for notebooks, terminals and logs.
 */

import { formatCount } from "../display/format.ts";
import { terminalText } from "./plain_text.ts";

/** How far a loop is. */
export interface ProgressState {
  readonly label: string;
  readonly unit: string;
  /** Items that are done. */
  readonly done: number;
  /** Items in all, or null where nobody knows. */
  readonly total: number | null;
  readonly elapsedMs: number;
  readonly postfix: string;
  readonly status: "running" | "done" | "stopped" | "failed";
}

const WIDEST_BAR = 40, NARROWEST_BAR = 8;
const MARKS = { running: "", done: " ✓", stopped: " ✗ stopped", failed: " ✗ failed" };

/** From 0 to 1, or null where nobody knows. */
export function shareOf({ done, total }: ProgressState): number | null {
  return total === null ? null : total === 0 ? 1 : Math.min(1, done / total);
}

/** `edits: 42 %, 420 of 1,000, 3,100 edits/s, 12 s left, loss 0.2`. */
export function progressText(state: ProgressState): string {
  const { done, total, elapsedMs, status } = state;
  const label = terminalText(state.label),
    unit = terminalText(state.unit),
    postfix = terminalText(state.postfix);
  const share = shareOf(state);
  const parts = [
    ...(share === null ? [] : [percentText(share)]),
    total === null ? formatCount(done) : `${formatCount(done)} of ${formatCount(total)}`,
    `${rateText(elapsedMs > 0 ? done / elapsedMs * 1000 : 0)} ${unit}/s`,
    status === "running" && share !== null ? timeLeftText(share, elapsedMs) : durationText(elapsedMs),
    ...(postfix === "" ? [] : [postfix]),
  ];
  return `${label === "" ? "" : `${label}: `}${parts.join(", ")}${MARKS[status]}`;
}

/** `███░░░ edits: 42 %, …`, never wider than `columns` − 1. */
export function progressLine(state: ProgressState, columns: number): string {
  return fitLine(shareOf(state), ` ${progressText(state)}`, columns);
}

/** A bar in front of a text; the text alone where there is no room or no share to show. */
export function fitLine(share: number | null, text: string, columns: number): string {
  const width = Math.min(WIDEST_BAR, columns - 1 - text.length);
  if (share === null || width < NARROWEST_BAR) return text.trim().slice(0, columns - 1);
  const filled = Math.round(Math.min(1, share) * width);
  return "█".repeat(filled) + "░".repeat(width - filled) + text;
}

/** `42 %`. */
export function percentText(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

/** From the share that is done and the time that it took. */
export function timeLeftText(share: number, elapsedMs: number): string {
  if (share <= 0) return "time left unknown";
  return `${durationText(Math.ceil(elapsedMs * (1 - share) / share / 1000) * 1000)} left`;
}

/** `0.4 s`, `12 s`, `3 min 0 s`. */
export function durationText(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (milliseconds > 0 && milliseconds < 1000) return `${Number((milliseconds / 1000).toPrecision(1))} s`;
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function rateText(rate: number): string {
  return rate >= 10 || rate === 0 ? formatCount(rate) : String(Number(rate.toPrecision(2)));
}
