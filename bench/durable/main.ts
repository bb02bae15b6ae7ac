// Measures the cost of keeping a memory: `deno task bench:durable`. Prints tables and writes
// bench/durable-results.json. The durable engine beside the engine alone and two peers from npm, each in a
// process of its own; how long a folder takes to open; how long snapshots keep the loop; what a learner's
// steps cost. --quick for a first look, --parts=ways,opening,stops,learner for some of it. The peers are installed by the first run, 700 MB in bench/durable/peers.

import { openDurable } from "../../src/durable/mod.ts";
import { measureStops } from "./stops.ts";
import { quantile } from "simple-statistics";
import { measureLearner } from "./learner.ts";
import { BATCH, DIM, KEYS, type MemoryCosts, sizeOf } from "./memory_workload.ts";

const HERE = new URL("./", import.meta.url);
const HOUSE = new URL("../../deno.json", import.meta.url).pathname;
const PEERS = new URL("peers/deno.json", HERE).pathname;

async function measureSubject(name: string, folder: string, seconds: number): Promise<MemoryCosts | string> {
  const isPeer = name === "usearch" || name === "lancedb";
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-check", "--allow-all", "--config", isPeer ? PEERS : HOUSE],
      ...(isPeer ? ["--allow-scripts=npm:usearch"] : ["--no-lock"]),
      ...[new URL("subject.ts", HERE).pathname, name, folder, String(seconds)],
    ],
    cwd: isPeer ? new URL("peers/", HERE).pathname : HERE.pathname,
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (!success) return text(stderr).slice(-400);
  return JSON.parse(text(stdout).split("\n").at(-1) as string);
}

/** Rounds in which the ways take turns, so that what else the machine does at a time is the same for all. */
const ROUNDS = 3;

/** Measures each way in turn, several times; what went wrong comes back as text. */
async function measureWays(
  names: readonly string[],
  base: string,
  rounds: number,
  seconds: number,
): Promise<(MemoryCosts | string)[]> {
  const found = names.map((): MemoryCosts[] => []), failed = new Map<number, string>();
  for (let round = 0; round < rounds; round++) {
    for (const [at, name] of names.entries()) {
      const costs = await measureSubject(name, `${base}/${name}${round}`, seconds);
      if (typeof costs === "string") failed.set(at, costs);
      else found[at].push(costs);
    }
  }
  return names.map((_, at) => failed.get(at) ?? ofRounds(found[at]));
}

/** Costs of several rounds as those of one. */
function ofRounds(rounds: readonly MemoryCosts[]): MemoryCosts {
  const replaced = (part: "single" | "batched") => {
    const times = rounds.flatMap((round) => round[part].times);
    const rows = times.length * (part === "single" ? 1 : BATCH);
    return { times, rowsPerSecond: 1000 * rows / times.reduce((sum, time) => sum + time, 0) };
  };
  const median = (field: "createMs" | "openMs" | "diskBytes") =>
    quantile(rounds.map((round) => round[field]), 0.5);
  return {
    ...rounds[0],
    single: replaced("single"),
    batched: replaced("batched"),
    createMs: median("createMs"),
    openMs: median("openMs"),
    diskBytes: median("diskBytes"),
  };
}

/** A folder with `edits` edits of single rows behind its first snapshot. */
async function measureOpening(folder: string, edits: number) {
  const row = new Float32Array(DIM);
  const create = {
    query: [row],
    key: Array.from({ length: 1024 }, () => row),
    value: Array.from({ length: 1024 }, () => row),
  };
  {
    await using live = await openDurable(folder, { create, snapshot: { journalBytes: Infinity } });
    for (let edit = 0; edit < edits; edit++) {
      row[edit % DIM] = Math.sin(edit);
      live.set(edit % 1024, row, row);
      if (edit % 256 === 0) await live.committed();
    }
  }
  const diskBytes = sizeOf(folder), times: number[] = [];
  for (let opening = 0; opening < 3; opening++) {
    await using live = await openDurable(folder, { create });
    times.push(live.stats().durable.openMs);
  }
  return { edits, openMs: quantile(times, 0.5), diskBytes };
}

function print(header: readonly string[], rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  const widths = header.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at].length)));
  for (const row of [header, ...rows]) {
    console.log(
      row.map((cell, at) => at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at])).join("  "),
    );
  }
  console.log();
}

const ms = (time: number) => time < 10 ? time.toFixed(2) : time.toFixed(0);
const mb = (bytes: number) => (bytes / 1e6).toFixed(1);

if (import.meta.main) await main();

async function main(): Promise<void> {
  const isQuick = Deno.args.includes("--quick"), seconds = isQuick ? 1 : 2;
  const parts = Deno.args.find((word) => word.startsWith("--parts="))?.slice("--parts=".length).split(",");
  const wanted = (part: string) => parts === undefined || parts.includes(part);
  const base = await Deno.makeTempDir();
  try {
    const names = wanted("ways") ? ["alone", "full", "normal", "usearch", "lancedb"] : [];
    const ways = await measureWays(names, base, isQuick ? 1 : ROUNDS, seconds);
    if (ways.length > 0) {
      console.log(
        `${KEYS} keys of ${DIM} numbers with values of ${DIM}, replaced; by ${BATCH} in the last columns\n`,
      );
    }
    print(
      [
        "",
        "kept",
        "a second",
        "p50 ms",
        "p99 ms",
        "by 64, a second",
        "p50 ms",
        "p99 ms",
        "open ms",
        "MB on disk",
      ],
      ways.map((way, at) =>
        typeof way === "string"
          ? [names[at], way.replaceAll("\n", " ").slice(0, 60), "", "", "", "", "", "", "", ""]
          : [
            way.name,
            way.promise,
            ...[way.single, way.batched].flatMap(({ rowsPerSecond, times }) => {
              const [p50, p99] = quantile([...times], [0.5, 0.99]);
              return [rowsPerSecond.toFixed(0), ms(p50), ms(p99)];
            }),
            ms(way.openMs),
            mb(way.diskBytes),
          ]
      ),
    );
    const openings = [];
    for (const edits of !wanted("opening") ? [] : isQuick ? [10_000] : [100_000, 1_000_000]) {
      openings.push(await measureOpening(`${base}/open${edits}`, edits));
    }
    print(
      ["edits since the snapshot", "open ms", "edits a second", "MB on disk"],
      openings.map(({ edits, openMs, diskBytes }) => {
        return [String(edits), ms(openMs), (1000 * edits / openMs).toFixed(0), mb(diskBytes)];
      }),
    );
    const stops = wanted("stops") ? await measureStops(`${base}/stops`, isQuick ? 5 : 20) : [];
    print(
      [
        "65,536 keys: the longest stop of the loop",
        ...["by the clock, p50 ms", "most ms", "own, p50 ms", "most ms", "computing, p50 ms", "most ms"],
        ...["in all, ms", "MB"],
      ],
      stops.map(({ name, longest: { clock, own, computed }, ms: whole, bytes }) => {
        const times = [clock, own, computed].flatMap(({ p50, most }) => [p50, most]);
        return [name, ...times.map(ms), ms(whole), mb(bytes)];
      }),
    );
    const learners = [];
    for (const share of wanted("learner") ? [0, 0.1, 1] : []) {
      learners.push(await measureLearner(`${base}/learner${share}`, share, isQuick ? 50 : 200));
    }
    print(
      [
        "rows with states",
        "a step, ms",
        "bytes a step",
        "snapshot, ms",
        "longest stop, ms",
        "MB",
        "open, ms",
      ],
      learners.map(
        ({ states, stepMs, stepBytes, snapshotMs, longestStopMs, snapshotBytes, openMs }) => {
          return [
            String(states),
            ms(stepMs),
            stepBytes.toFixed(0),
            ms(snapshotMs),
            ms(longestStopMs),
            mb(snapshotBytes),
            ms(openMs),
          ];
        },
      ),
    );
    const results = { ways, openings, stops, learners };
    // Some parts alone are no results to keep.
    if (parts) return;
    await Deno.writeTextFile(new URL("../durable-results.json", HERE), JSON.stringify(results, null, 2));
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}
