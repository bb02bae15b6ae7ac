import { assert, assertEquals, assertLess } from "../../testing/assert.ts";
import { barLine, plainLine, ProgressReporter } from "../../studies/progress.ts";

const HALF = { days: 1200, share: 0.5 };

Deno.test("progress: a plain line has share, rate and time left", () => {
  assertEquals(plainLine(HALF, 4000), "progress: 50 % of the work, 300 days/s, 4 s left");
  assertEquals(
    plainLine({ ...HALF, share: 0.1 }, 20_000),
    "progress: 10 % of the work, 60 days/s, 3 min 0 s left",
  );
  assertEquals(
    plainLine({ days: 0, share: 0 }, 0),
    "progress: 0 % of the work, 0 days/s, time left unknown",
  );
});

Deno.test("progress: a bar is as full as the work is done and never wider than the terminal", () => {
  const bar = barLine(HALF, 4000, 80);
  assertEquals(bar, "█".repeat(20) + "░".repeat(20) + "  50 %  300 days/s  4 s left");
  assertEquals(barLine({ ...HALF, share: 1 }, 4000, 80).replaceAll("█", ""), " 100 %  300 days/s  0 s left");
  for (const columns of [10, 20, 30, 40, 50, 200]) assertLess(barLine(HALF, 4000, columns).length, columns);
});

/** The output of a reporter that gets a share at each time. */
function written(isTerminal: boolean, heard: [time: number, share: number][]): string[] {
  const texts: string[] = [];
  let now = 0;
  const target = { write: (text: string) => void texts.push(text), isTerminal, columns: 80 };
  const reporter = new ProgressReporter(target, () => now);
  for (const [time, share] of heard) {
    now = time;
    reporter.report({ days: 100 * share, share });
  }
  reporter.end();
  return texts;
}

Deno.test("progress: on a terminal one line redraws itself, not too often, and is gone at the end", () => {
  const texts = written(true, [[50, 0.1], [90, 0.2], [149, 0.3], [150, 0.4], [400, 1]]);
  assertEquals(texts.length, 4);
  assert(texts.every((text) => text.startsWith("\r\x1b[K") && !text.includes("\n")));
  assertEquals(texts.map((text) => /\d+ %/.exec(text)?.[0]), ["10 %", "40 %", "100 %", undefined]);
});

Deno.test("progress: elsewhere plain lines, one a tenth of the work", () => {
  const texts = written(false, [[1000, 0.01], [2000, 0.11], [3000, 0.19], [4000, 0.45], [9000, 1]]);
  assertEquals(texts, [
    "progress: 11 % of the work, 6 days/s, 17 s left\n",
    "progress: 45 % of the work, 11 days/s, 5 s left\n",
    "progress: 100 % of the work, 11 days/s, 0 s left\n",
  ]);
});
