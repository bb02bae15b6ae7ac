// `deno task bench:kernel`: what the proxy adds. Our kernel and the stock one, in turn, in one run: a start to
// the first value, an empty cell from its request to its reply, an output from the kernel to the front end and
// all to the idle, a comm message there and back, and 100,000 awaits of each kind.

import { quantile } from "simple-statistics";
import { KernelProcess } from "../src/kernel/kernel_process.ts";
import type { Message } from "../src/kernel/protocol/message.ts";
import { startProxy } from "../testing/kernel/start_proxy.ts";

const ROUNDS = Number(Deno.args[0] ?? 500), WARM_UP = 50;
const STARTS = 5, AWAITS = 100_000, AWAIT_RUNS = 9;

type Start = (onMessage?: (message: Message) => void) => Promise<KernelProcess>;
const STARTERS: { readonly ours: Start; readonly stock: Start } = {
  ours: (onMessage) => startProxy(onMessage ? { onMessage } : {}),
  stock: (onMessage) => KernelProcess.start(onMessage ? { onMessage } : {}),
};

/** Statements that a loop at the top of a cell runs in each turn, by what they await. */
const AWAITED: Readonly<Record<string, string>> = {
  "a number": "await i",
  "a promise that is settled": "await Promise.resolve(i)",
  "a function that awaits nothing": "await there()",
  "a function that awaits": "await waits()",
  "a function that awaits one that is settled": "await passes(i)",
  "one that is settled, in a try": "try { await Promise.resolve(i) } catch {}",
};

/** The time of each of many calls, in milliseconds. */
async function timesOf(work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const startedAt = performance.now();
    await work();
    if (round >= 0) times.push(performance.now() - startedAt);
  }
  return times;
}

const REQUEST = {
  silent: false,
  store_history: true,
  allow_stdin: false,
  stop_on_error: true,
  user_expressions: {},
};

/** Resolves at the idle of a request. */
function idleOf(kernel: KernelProcess, waiting: Map<string, () => void>, code: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  kernel.client.tell("execute_request", { ...REQUEST, code }).then((id) => waiting.set(id, resolve));
  return promise;
}

/** The measures of one kernel. */
async function measure(start: Start, hasComms: boolean) {
  const waiting = new Map<string, () => void>();
  let echoed: (() => void) | null = null;
  const idles = new Set<string>();
  await using kernel = await start(({ header, parentHeader, content }) => {
    if (header.msg_type === "comm_msg") echoed?.();
    const id = parentHeader?.msg_id ?? "";
    if (header.msg_type !== "status" || content.execution_state !== "idle") return;
    idles.add(id);
    waiting.get(id)?.();
  });
  const { client } = kernel;
  const reply = await timesOf(() => client.request("execute_request", { ...REQUEST, code: "1" }));
  const idle = await timesOf(() => idleOf(kernel, waiting, "console.log(1)"));
  const info = await timesOf(() => client.request("kernel_info_request"));
  let comm: number[] | null = null;
  if (hasComms) {
    await client.execute(
      `globalThis[Symbol.for("attune.kernel")].registerTarget("echo", (comm) => { comm.onMessage = ({ data }) => comm.send(data); })`,
    );
    await client.tell("comm_open", { comm_id: "c", target_name: "echo", data: {} });
    comm = await timesOf(async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      echoed = resolve;
      await client.tell("comm_msg", { comm_id: "c", data: { n: 1 } });
      await promise;
    });
  }
  return { reply, idle, info, comm };
}

/** Milliseconds from nothing to the first value of a cell, the two kernels in turn. */
async function measureStarts(): Promise<Record<"ours" | "stock", number[]>> {
  const times = { ours: [] as number[], stock: [] as number[] };
  for (let round = 0; round < STARTS; round++) {
    for (const name of ["stock", "ours"] as const) {
      const startedAt = performance.now();
      await using kernel = await STARTERS[name]();
      await kernel.client.request("execute_request", { ...REQUEST, code: "1" });
      times[name].push(performance.now() - startedAt);
    }
  }
  return times;
}

/** Milliseconds that cells say of themselves, the two kernels in turn. */
async function measureAwaits(): Promise<Record<string, Record<"ours" | "stock", number[]>>> {
  await using ours = await STARTERS.ours();
  await using stock = await STARTERS.stock();
  const kernels = { ours, stock };
  const times = Object.fromEntries(
    Object.keys(AWAITED).map((name) => [name, { ours: [] as number[], stock: [] as number[] }]),
  );
  const declare =
    "const there = async () => 1; const waits = async () => { await 1 }; const passes = async (i) => await Promise.resolve(i);";
  for (const kernel of [ours, stock]) await kernel.client.execute(declare);
  for (let run = 0; run < AWAIT_RUNS; run++) {
    for (const [what, code] of Object.entries(AWAITED)) {
      for (const name of ["ours", "stock"] as const) {
        const cell = `{ const startedAt = performance.now(); for (let i = 0; i < ${AWAITS}; i++) { ${code} }
          console.log("took", performance.now() - startedAt) }`;
        const { outputs } = await kernels[name].client.execute(cell);
        const said = outputs.map(({ content }) => String(content.text ?? "")).join("");
        times[what][name].push(Number(/took ([\d.]+)/.exec(said)?.[1]));
      }
    }
  }
  return times;
}

const stock = await measure(STARTERS.stock, false);
const ours = await measure(STARTERS.ours, true);
const row = (mine: readonly number[] | null, theirs: readonly number[] | null) => {
  const show = (times: readonly number[] | null, part: number) =>
    times ? Number(quantile([...times], part).toFixed(2)) : "";
  const added = (part: number) =>
    mine && theirs ? Number((quantile([...mine], part) - quantile([...theirs], part)).toFixed(2)) : "";
  return {
    "ours, median": show(mine, 0.5),
    "ours, p99": show(mine, 0.99),
    "stock, median": show(theirs, 0.5),
    "stock, p99": show(theirs, 0.99),
    "added, median": added(0.5),
    "added, p99": added(0.99),
  };
};
console.log(`milliseconds, ${ROUNDS} of each`);
console.table({
  "kernel_info": row(ours.info, stock.info),
  "an empty cell, to its reply": row(ours.reply, stock.reply),
  "a cell with an output, to its idle": row(ours.idle, stock.idle),
  "a comm message, there and back": row(ours.comm, null),
});

const ratios = ({ ours, stock }: Record<"ours" | "stock", number[]>) => {
  const [mine, theirs] = [ours, stock].map((times) => quantile(times, 0.5));
  return {
    "ours": Number(mine.toFixed(1)),
    "stock": Number(theirs.toFixed(1)),
    "ours / stock": Number((mine / theirs).toFixed(2)),
    "added": Number((mine - theirs).toFixed(1)),
  };
};
console.log(`milliseconds of a start, the median of ${STARTS}`);
console.table({ "to the first value": ratios(await measureStarts()) });
console.log(`milliseconds of ${AWAITS} awaits, the median of ${AWAIT_RUNS}`);
console.table(Object.fromEntries(
  Object.entries(await measureAwaits()).map(([name, times]) => [name, ratios(times)]),
));
