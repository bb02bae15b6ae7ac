/**
 * The processes that cells have started, and those that these have started: they carry the kernel's mark in their
 * environment, whoever their parent is by now.
 */

import { Deno, Number } from "./natives.ts";

/** The name in the environment. */
export const KERNEL_MARK = "ATTUNE_KERNEL";
const ROUNDS = 3;

/** Ends all that carry a mark, where the system tells who does. */
export async function endProcesses(mark: string): Promise<void> {
  if (Deno.build.os !== "linux" || mark === "") return;
  // One of them may start another while they are looked for.
  for (let round = 0; round < ROUNDS; round++) {
    const found = await processesWith(mark);
    if (found.length === 0) return;
    for (const pid of found) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
  }
}

async function processesWith(mark: string): Promise<number[]> {
  const found: number[] = [];
  const wanted = `${KERNEL_MARK}=${mark}`;
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    try {
      const words = (await Deno.readTextFile(`/proc/${name}/environ`)).split("\0");
      if (words.includes(wanted)) found.push(Number(name));
    } catch {
      // It has ended, or is not ours.
    }
  }
  return found;
}
