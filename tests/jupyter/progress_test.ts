// Progress with a clock of our own: what is drawn and when, and that the loop is the same with it and without.

import { InputError } from "../../src/base/errors.ts";
import { progress, type ProgressOptions } from "../../src/jupyter/mod.ts";
import { ProgressLoop } from "../../src/jupyter/progress.ts";
import {
  LogView,
  NotebookView,
  type ProgressView,
  TerminalView,
  type TextTarget,
} from "../../src/jupyter/progress_targets.ts";
import {
  durationText,
  progressLine,
  type ProgressState,
  progressText,
} from "../../src/jupyter/progress_text.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertLess,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../../testing/assert.ts";

/** A loop whose clock the test moves, and what it drew. */
function watched<T>(source: Iterable<T> | AsyncIterable<T>, options: ProgressOptions = {}) {
  const drawn: ProgressState[] = [], ended: ProgressState[] = [];
  const time = { now: 0, removed: 0 };
  const view: ProgressView = {
    intervalMs: 100,
    draw: (state) => void drawn.push(state),
    end: (state) => void ended.push(state),
    remove: () => void time.removed++,
  };
  return { loop: new ProgressLoop(source, options, () => view, () => time.now), drawn, ended, time };
}

const HALF: ProgressState = {
  label: "edits",
  unit: "edits",
  done: 500,
  total: 1000,
  elapsedMs: 4000,
  postfix: "loss 0.2",
  status: "running",
};

Deno.test("progress: text has label, share, items, rate, time left and postfix, each where it is known", () => {
  assertEquals(progressText(HALF), "edits: 50 %, 500 of 1,000, 125 edits/s, 4 s left, loss 0.2");
  assertEquals(progressText({ ...HALF, total: null, label: "", postfix: "" }), "500, 125 edits/s, 4 s");
  assertEquals(
    progressText({ ...HALF, done: 0, postfix: "" }),
    "edits: 0 %, 0 of 1,000, 0 edits/s, time left unknown",
  );
  assertEquals(progressText({ ...HALF, status: "done", done: 1000, postfix: "" }).slice(-5), "4 s ✓");
  assertEquals(progressText({ ...HALF, status: "failed" }).slice(-9), " ✗ failed");
  assertEquals(
    progressText({ ...HALF, done: 1, elapsedMs: 3000, total: null }),
    "edits: 1, 0.33 edits/s, 3 s, loss 0.2",
  );
  assertEquals([0, 400, 59_000, 60_000, 3_725_000].map(durationText), [
    "0 s",
    "0.4 s",
    "59 s",
    "1 min 0 s",
    "62 min 5 s",
  ]);
});

Deno.test("progress: a line has a bar where there is room, and is never too wide", () => {
  for (const columns of [8, 40, 80, 200]) assertLess(progressLine(HALF, columns).length, columns);
  assert(progressLine(HALF, 110).startsWith("█".repeat(20) + "░".repeat(20)));
  assertFalse(progressLine({ ...HALF, total: null }, 200).includes("█"));
});

Deno.test("progress: the loop sees every item in order, and the end says how many there were", () => {
  const { loop, drawn, ended, time } = watched(new Set(["a", "b", "c"]), { label: "letters" });
  const seen: string[] = [];
  for (const letter of loop) {
    seen.push(letter);
    time.now += 1000;
    loop.postfix = letter;
  }
  assertEquals(seen, ["a", "b", "c"]);
  // The clock is not looked at for every item.
  assertEquals(drawn.map(({ done }) => done), [0, 2, 3]);
  assertEquals(drawn[0], {
    ...HALF,
    label: "letters",
    unit: "items",
    done: 0,
    total: 3,
    elapsedMs: 0,
    postfix: "",
  });
  assertEquals(ended, [{ ...drawn[0], done: 3, elapsedMs: 3000, postfix: "c", status: "done" }]);
});

Deno.test("progress: it is drawn not more often than ten times a second, and keeps up when items get slow", () => {
  const { loop, drawn, time } = watched(Array(20_000).fill(0));
  let at = 0;
  for (const _ of loop) time.now += at++ < 10_000 ? 0.01 : 50;
  const times = drawn.map(({ elapsedMs }) => elapsedMs);
  const gaps = times.slice(1).map((time, at) => time - times[at]);
  assert(gaps.every((gap) => gap >= 100), `${Math.min(...gaps)}`);
  const slow = gaps.slice(3);
  assert(slow.length > 1000 && slow.every((gap) => gap <= 50 * 65), "after the first slow stride");
  assert(gaps.slice(12).every((gap) => gap <= 200), "then as often as it may");
});

Deno.test("progress: break, an error of the loop and an error of the source reach where they should", () => {
  let closed = 0;
  function* source(failAt: number) {
    try {
      for (let at = 0; at < 5; at++) {
        if (at === failAt) throw new RangeError("source");
        yield at;
      }
    } finally {
      closed++;
    }
  }
  const broken = watched(source(9), { total: 5 });
  for (const item of broken.loop) if (item === 2) break;
  assertEquals(broken.ended.map(({ done, status }) => [done, status]), [[2, "stopped"]]);
  const thrown = watched(source(9));
  assertThrows(
    () => {
      for (const item of thrown.loop) if (item === 3) throw new TypeError("loop");
    },
    TypeError,
    "loop",
  );
  assertEquals(thrown.ended.map(({ done, status }) => [done, status]), [[3, "stopped"]]);
  const failing = watched(source(1));
  assertThrows(() => [...failing.loop], RangeError, "source");
  assertEquals(failing.ended.map(({ done, status }) => [done, status]), [[1, "failed"]]);
  assertEquals(closed, 3);
});

Deno.test("progress: asynchronous sources and for await over any source; the loop lets others breathe", async () => {
  async function* numbers() {
    for (let at = 0; at < 3; at++) yield at;
  }
  const later = watched(numbers());
  const seen: number[] = [];
  for await (const item of later.loop) seen.push(item);
  assertEquals([seen, later.ended[0].done, later.ended[0].total], [[0, 1, 2], 3, null]);
  assertThrows(() => [...watched(numbers()).loop], InputError, "progress: an asynchronous source");

  const { loop, time } = watched([1, 2, 3, 4]);
  let breaths = 0;
  const timer = setInterval(() => breaths++, 0);
  for await (const _ of loop) time.now += 60;
  clearInterval(timer);
  assert(breaths > 0);
});

Deno.test("progress: an aborted signal ends the loop with its reason", async () => {
  const controller = new AbortController();
  const { loop, ended } = watched([1, 2, 3], { signal: controller.signal });
  await assertRejects(
    async () => {
      for await (const item of loop) if (item === 2) controller.abort(new RangeError("enough"));
    },
    RangeError,
    "enough",
  );
  assertEquals(ended.map(({ status }) => status), ["failed"]);
  const sync = watched([1, 2, 3], { signal: AbortSignal.abort(new RangeError("before")) });
  assertThrows(() => [...sync.loop], RangeError, "before");
});

Deno.test("progress: a loop runs once at a time, and again afterwards", () => {
  const { loop, ended } = watched([1, 2]);
  for (const _ of loop) assertThrows(() => [...loop], InputError, "the loop runs already");
  assertEquals([...loop], [1, 2]);
  assertEquals(ended.length, 2);
});

/** What a view wrote. */
function textTarget(isTerminal: boolean): TextTarget & { readonly written: string[] } {
  const written: string[] = [];
  return { write: (text) => void written.push(text), isTerminal, columns: 100, written };
}

Deno.test("progress: on a terminal loops have a line each, the outer one above, and leave the last of it", () => {
  const target = textTarget(true);
  const outer = new TerminalView(target), inner = new TerminalView(target);
  outer.draw({ ...HALF, label: "outer" });
  inner.draw({ ...HALF, label: "inner" });
  inner.draw({ ...HALF, label: "inner", done: 600 });
  inner.end({ ...HALF, label: "inner", done: 1000, status: "done" });
  outer.end({ ...HALF, label: "outer", done: 1000, status: "done" });
  const plain = target.written.map((text) =>
    text.replaceAll("\x1b[1A", "↑").replaceAll("\r\x1b[K", "").replace(/[█░]+ /g, "").replace(/ \d+ %.*/g, "")
  );
  assertEquals(plain, ["outer:", "outer:\ninner:", "↑outer:\ninner:", "↑inner:\nouter:", "outer:\n"]);
});

Deno.test("progress: in a log a line for each tenth, or each ten seconds, and one at the end", () => {
  const known = textTarget(false), view = new LogView(known);
  for (let done = 0; done <= 1000; done += 25) view.draw({ ...HALF, done });
  view.end({ ...HALF, done: 1000, status: "done" });
  assertEquals(
    known.written.map((line) => line.match(/\d+ %/)?.[0]),
    [10, 20, 30, 40, 50, 60, 70, 80, 90, 100].map((p) => `${p} %`),
  );
  const unknown = textTarget(false), other = new LogView(unknown);
  for (let elapsedMs = 0; elapsedMs < 35_000; elapsedMs += 500) {
    other.draw({ ...HALF, total: null, elapsedMs });
  }
  assertEquals(unknown.written.length, 3);
  assert([...known.written, ...unknown.written].every((line) => line.endsWith("\n")));
});

Deno.test("progress: in a notebook one display that is updated, with text that stays text, red when it fails", () => {
  const sent: { type: string; content: Record<string, unknown> }[] = [];
  const view = new NotebookView({
    display: () => Promise.resolve(),
    format: () => Promise.resolve({ "text/plain": "" }),
    broadcast: (type, content) => void sent.push({ type, content }),
  });
  view.draw({ ...HALF, label: "<img onerror=1>" });
  view.end({ ...HALF, label: "<img onerror=1>", status: "stopped" });
  assertEquals(sent.map(({ type }) => type), ["display_data", "update_display_data"]);
  assertEquals(sent[0].content.transient, sent[1].content.transient);
  const [running, stopped] = sent.map(({ content }) => (content.data as Record<string, string>)["text/html"]);
  assertStringIncludes(running, "&lt;img onerror=1&gt;: 50 %");
  assertFalse(running.includes("<img"));
  assertStringIncludes(running, 'aria-valuenow="50"');
  assertStringIncludes(running, 'aria-label="&lt;img onerror=1&gt;"');
  assert(stopped.includes("#d9363e") && !running.includes("#d9363e"));
});

Deno.test("progress: what does not fit is refused by name", () => {
  assertThrows(() => progress(5.5), InputError, "progress: source is 5.5, expected an integer ≥ 0");
  assertThrows(() => progress({} as never), InputError, "progress: source is an object (Object)");
  assertThrows(() => progress([], { total: -1 }), InputError, "progress: total is -1");
  assertThrows(() => progress([], { label: 5 as never }), InputError, "progress: label is 5");
});

Deno.test("replay K13: numbers and lists are looped over as often as one likes, an iterator once", () => {
  for (const source of [3, [0, 1, 2], new Set([0, 1, 2]), "abc"] as const) {
    const { loop, ended } = watched(typeof source === "number" ? [0, 1, 2] : source as Iterable<unknown>);
    assertEquals([[...loop].length, [...loop].length, ended.length], [3, 3, 2]);
  }
  const numbers = progress(3);
  assertEquals([[...numbers], [...numbers]], [[0, 1, 2], [0, 1, 2]]);
  assertEquals([...progress("text")], ["t", "e", "x", "t"]);
  const once = progress([1, 2, 3].values());
  assertEquals([...once], [1, 2, 3]);
  assertThrows(() => [...once], InputError, "iterator");
});

Deno.test("replay K13: leave: false takes the bar away where the loop has ended well", () => {
  const { loop, ended, time } = watched([1, 2], { leave: false });
  assertEquals([[...loop].length, ended.length, time.removed], [2, 0, 1]);
  for (const _ of loop) break;
  assertEquals([ended.map(({ status }) => status), time.removed], [["stopped"], 1]);
  assertThrows(() => progress(3, { leave: 1 as unknown as boolean }), InputError, "leave");
  const shown: unknown[] = [];
  const view = new NotebookView({
    broadcast: (type, { data }) =>
      void shown.push([type, (data as Record<string, string>)["text/html"].length > 0]),
    display: () => Promise.resolve(),
    format: () => Promise.resolve({ "text/plain": "" }),
  });
  for (const _ of new ProgressLoop([1], { leave: false }, () => view));
  assertEquals(shown, [["display_data", true], ["update_display_data", false]]);
});
