/**
 * A worker that ends the kernel when the proxy is gone, however busy the kernel is: the proxy may have been killed, and
 * nobody else would end what it has started.
 */

import { endProcesses } from "../descendants.ts";
import { encodeLinkFrame } from "../link/frames.ts";
import { Deno, Error, Uint8Array, URL, Worker } from "../natives.ts";

/** The settings of the worker. */
export interface WatchdogSettings {
  readonly port: number;
  readonly token: string;
  /** The mark of the processes that end with the kernel. */
  readonly mark: string;
  /** The file by which the kernel was told where to listen. */
  readonly connectionFile: string;
}

/** Starts it. */
export function startWatchdog(settings: WatchdogSettings): void {
  const worker = new Worker(new URL("./watchdog_worker.ts", import.meta.url), { type: "module" });
  worker.postMessage(settings);
}

/** Waits for the end of the line, and ends this process, with all that cells have started. */
export async function watch({ port, token, mark, connectionFile }: WatchdogSettings): Promise<never> {
  try {
    const stream = await Deno.connect({ hostname: "127.0.0.1", port });
    await stream.write(encodeLinkFrame({ type: "watch", token }));
    const nothing = new Uint8Array(64);
    while (await stream.read(nothing) !== null);
  } catch {
    // As good as an end.
  }
  try {
    await Deno.remove(connectionFile).catch(() => {});
    await endProcesses(mark);
  } finally {
    Deno.kill(Deno.pid, "SIGKILL");
  }
  throw new Error("watch: the process goes on");
}
