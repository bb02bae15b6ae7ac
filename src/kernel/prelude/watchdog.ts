/**
 * A worker that ends the kernel when the proxy is gone, however busy the kernel is: the proxy may have been killed, and
 * nobody else would end what it has started.
 */

import { endProcesses } from "../descendants.ts";
import { encodeLinkFrame } from "../link/frames.ts";
import { Atomics, BroadcastChannel, Deno, Error, Promise, Uint8Array, URL, Worker } from "../natives.ts";
import { HANDED_ON, HEARS_THREADS, PRESSES } from "./flow.ts";

/** The settings of the worker. */
export interface WatchdogSettings {
  readonly port: number;
  readonly token: string;
  /** The mark of the processes that end with the kernel. */
  readonly mark: string;
  /** The file by which the kernel was told where to listen. */
  readonly connectionFile: string;
  /** Where it counts what the proxy says to have handed on. */
  readonly counter: Int32Array<SharedArrayBuffer>;
  /** The channel on which the workers of cells say what they print. */
  readonly threads: string;
}

/** Starts it. */
export function startWatchdog(settings: WatchdogSettings): void {
  const worker = new Worker(new URL("./watchdog_worker.ts", import.meta.url), { type: "module" });
  worker.postMessage(settings);
}

/** Hands on to the proxy what workers say on a channel, in its order. */
function handOn(channel: string, stream: Deno.TcpConn): void {
  let last: Promise<unknown> = Promise.resolve();
  new BroadcastChannel(channel).onmessage = ({ data }) => {
    const bytes = encodeLinkFrame({ type: "thread", words: data });
    last = last.then(async () => {
      for (let at = 0; at < bytes.length;) at += await stream.write(bytes.subarray(at));
    }).catch(() => {});
  };
}

/** Waits for the end of the line, and ends this process, with all that cells have started. */
export async function watch(
  { port, token, mark, connectionFile, counter, threads }: WatchdogSettings,
): Promise<never> {
  try {
    const stream = await Deno.connect({ hostname: "127.0.0.1", port });
    await stream.write(encodeLinkFrame({ type: "watch", token }));
    handOn(threads, stream);
    Atomics.store(counter, HEARS_THREADS, 1);
    Atomics.notify(counter, HEARS_THREADS);
    // A byte of 0 stands for a unit that was handed on, a byte of 1 for the stop button.
    const bytes = new Uint8Array(64);
    for (let count = await stream.read(bytes); count !== null; count = await stream.read(bytes)) {
      for (let at = 0; at < count; at++) Atomics.add(counter, bytes[at] === 0 ? HANDED_ON : PRESSES, 1);
      Atomics.notify(counter, HANDED_ON);
    }
  } catch {
    // A failed read counts as the end.
  }
  try {
    await Deno.remove(connectionFile).catch(() => {});
    await endProcesses(mark);
  } finally {
    Deno.kill(Deno.pid, "SIGKILL");
  }
  throw new Error("watch: the process goes on");
}
