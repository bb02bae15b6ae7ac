// A kernel of ours as a front end meets it: a process of its own that is given a connection file.

import { type KernelOptions, KernelProcess } from "../../src/kernel/kernel_process.ts";

const MAIN = new URL("../../src/kernel/main.ts", import.meta.url).pathname;

/** The command of the kernelspec. */
export function proxyCommand(file: string, ...args: string[]): [string, ...string[]] {
  return [
    Deno.execPath(),
    "run",
    "--quiet",
    "--allow-all",
    "--no-config",
    "--no-lock",
    MAIN,
    "start",
    file,
    ...args,
  ];
}

/** Starts it. */
export function startProxy(
  options: Omit<KernelOptions, "command"> = {},
  ...args: string[]
): Promise<KernelProcess> {
  return KernelProcess.start({
    timeoutMs: 120_000,
    ...options,
    // As Jupyter does: it ends with its parent.
    env: { JPY_PARENT_PID: String(Deno.pid), ATTUNE_HISTORY: "0", ...options.env },
    command: (file) => proxyCommand(file, ...args),
  });
}

/** The number of the stock kernel behind. */
export async function childOf(kernel: KernelProcess): Promise<number> {
  const { content } = await kernel.client.request("kernel_info_request");
  return (content.attune as { child: number }).child;
}

/** Messages and connections that were dropped. */
export async function rejectedBy(kernel: KernelProcess): Promise<number> {
  const { content } = await kernel.client.request("kernel_info_request");
  return (content.attune as { rejected: number }).rejected;
}
