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
  "a function of two awaits": "await twice(i)",
  "a function that awaits one that is settled, in a try": "try { await passes(i) } catch {}",
  "one that is settled, in a try": "try { await Promise.resolve(i) } catch {}",
};

type Name = keyof typeof STARTERS;
type Times = Record<Name, number[]>;
type Work = () => Promise<unknown>;

/** The time of each of many calls, in milliseconds, the two kernels in turn: what else the machine does slows both. */
async function timesOf(works: Partial<Record<Name, Work>>): Promise<Times> {
  const times: Times = { ours: [], stock: [] };
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    // Each is the first one as often as the other.
    const turn: readonly Name[] = round % 2 === 0 ? ["stock", "ours"] : ["ours", "stock"];
    for (const name of turn) {
      const startedAt = performance.now();
      await works[name]?.();
      if (round >= 0 && works[name]) times[name].push(performance.now() - startedAt);
    }
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

/** A kernel with what is timed of it. */
async function open(start: Start, stack: AsyncDisposableStack) {
  const waiting = new Map<string, () => void>(), echoes: (() => void)[] = [];
  const kernel = stack.use(
    await start(({ header, parentHeader, content }) => {
      if (header.msg_type === "comm_msg") echoes.pop()?.();
      if (header.msg_type === "status" && content.execution_state === "idle") {
        waiting.get(parentHeader?.msg_id ?? "")?.();
      }
    }),
  );
  const { client } = kernel;
  const works: Readonly<Record<string, Work>> = {
    "kernel_info": () => client.request("kernel_info_request"),
    "an empty cell, to its reply": () => client.request("execute_request", { ...REQUEST, code: "1" }),
    "a cell with an output, to its idle": () => idleOf(kernel, waiting, "console.log(1)"),
    "a comm message, there and back": async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      echoes.push(resolve);
      await client.tell("comm_msg", { comm_id: "c", data: { n: 1 } });
      await promise;
    },
  };
  return { client, works };
}

/** The times of messages. */
async function measureMessages(): Promise<Record<string, Times>> {
  await using stack = new AsyncDisposableStack();
  const ours = await open(STARTERS.ours, stack), stock = await open(STARTERS.stock, stack);
  await ours.client.execute(
    `globalThis[Symbol.for("attune.kernel")].registerTarget("echo", (comm) => { comm.onMessage = ({ data }) => comm.send(data); })`,
  );
  await ours.client.tell("comm_open", { comm_id: "c", target_name: "echo", data: {} });
  const times: Record<string, Times> = {};
  for (const [what, work] of Object.entries(ours.works)) {
    // The stock kernel answers no comm.
    times[what] = await timesOf(
      what.startsWith("a comm") ? { ours: work } : { ours: work, stock: stock.works[what] },
    );
  }
  return times;
}

/** Milliseconds from nothing to the first value of a cell, the two kernels in turn. */
async function measureStarts(): Promise<Times> {
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
async function measureAwaits(): Promise<Record<string, Times>> {
  await using ours = await STARTERS.ours();
  await using stock = await STARTERS.stock();
  const kernels = { ours, stock };
  const times = Object.fromEntries(
    Object.keys(AWAITED).map((name) => [name, { ours: [] as number[], stock: [] as number[] }]),
  );
  const declare =
    "const there = async () => 1; const waits = async () => { await 1 }; async function twice(i) { await Promise.resolve(i); await Promise.resolve(i) }; const passes = async (i) => await Promise.resolve(i);";
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

const row = ({ ours, stock }: Times) => {
  const show = (times: readonly number[], part: number) =>
    times.length > 0 ? Number(quantile([...times], part).toFixed(2)) : "";
  const added = (part: number) =>
    stock.length > 0 ? Number((quantile([...ours], part) - quantile([...stock], part)).toFixed(2)) : "";
  return {
    "ours, median": show(ours, 0.5),
    "ours, p99": show(ours, 0.99),
    "stock, median": show(stock, 0.5),
    "stock, p99": show(stock, 0.99),
    "added, median": added(0.5),
    "added, p99": added(0.99),
  };
};
console.log(`milliseconds, ${ROUNDS} of each, the two kernels in turn`);
console.table(
  Object.fromEntries(Object.entries(await measureMessages()).map(([what, times]) => [what, row(times)])),
);

const ratios = ({ ours, stock }: Times) => {
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
