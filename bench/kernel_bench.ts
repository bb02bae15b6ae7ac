// `deno task bench:kernel`: what the proxy adds to a message. Our kernel and the stock one, in turn, in one
// run: an empty cell from its request to its reply, an output from the kernel to the front end and all to the
// idle, and a comm message there and back.

import { quantile } from "simple-statistics";
import { KernelProcess } from "../src/kernel/kernel_process.ts";
import type { Message } from "../src/kernel/protocol/message.ts";
import { startProxy } from "../testing/kernel/start_proxy.ts";

const ROUNDS = Number(Deno.args[0] ?? 500), WARM_UP = 50;

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
async function measure(
  start: (onMessage: (message: Message) => void) => Promise<KernelProcess>,
  hasComms: boolean,
) {
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

const stock = await measure((onMessage) => KernelProcess.start({ onMessage }), false);
const ours = await measure((onMessage) => startProxy({ onMessage }), true);
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
