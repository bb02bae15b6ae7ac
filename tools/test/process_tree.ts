// Ends a process with all that it has started: a test that hangs may have started kernels, servers and browsers.

/** Kills a process and its descendants, by their ids. */
export async function killTree(pid: number): Promise<void> {
  if (Deno.build.os === "windows") {
    await new Deno.Command("taskkill", {
      args: ["/PID", `${pid}`, "/T", "/F"],
      stdout: "null",
      stderr: "null",
    })
      .output();
    return;
  }
  // The oldest is stopped first, so that it starts nothing while its children are looked for.
  const known = [pid];
  send(pid, "SIGSTOP");
  for (let at = 0; at < known.length; at++) {
    for (const child of await childrenOf(known[at])) {
      send(child, "SIGSTOP");
      known.push(child);
    }
  }
  for (const each of known.reverse()) send(each, "SIGKILL");
}

function send(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  return (await parents()).filter(([, parent]) => parent === pid).map(([child]) => child);
}

/** Every process with its parent. */
async function parents(): Promise<[pid: number, parent: number][]> {
  if (Deno.build.os === "linux") return linuxParents();
  const { stdout } = await new Deno.Command("ps", { args: ["-A", "-o", "pid=,ppid="] }).output();
  return new TextDecoder().decode(stdout).trim().split("\n").map((line) => {
    const [pid, parent] = line.trim().split(/\s+/).map(Number);
    return [pid, parent];
  });
}

function linuxParents(): [number, number][] {
  const found: [number, number][] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // "12 (a name) S 11 …": a name may have spaces and brackets.
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      found.push([Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])]);
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
