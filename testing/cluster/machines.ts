// Machines of one network, each in a network namespace of its own, of which one can be cut off: packets from it,
// to it, or both are sent to an address that no machine has, so that nobody is told. It needs Linux, `ip`,
// `unshare` and `nsenter`, and changes only the namespace in which it is started.

import { findProgram } from "../requirements.ts";

/** How to get what it needs, as `requires` says it. */
export const NAMESPACES_REMEDY =
  "apt-get install iproute2 util-linux, and leave to unshare (CONTRIBUTING.md)";
const NETWORK = "10.77.0", NOBODY = "02:00:00:00:ff:ff", OUTSIDE = 1;

/** Whether the programs are there; a machine that has them may still allow nobody a network of his own. */
export function hasNetworkPrograms(): boolean {
  return ["unshare", "ip", "nsenter"].every((name) => findProgram(name) !== undefined);
}

/**
 * The beginning of a command line that runs a program in a network of its own, as root or in a user namespace;
 * undefined where the machine does not allow it.
 */
export function ownNetwork(): readonly string[] | undefined {
  const unshare = findProgram("unshare");
  if (Deno.build.os !== "linux" || unshare === undefined || !hasNetworkPrograms()) return undefined;
  const ways = [[unshare, "--net"], [unshare, "--user", "--map-root-user", "--net"]];
  return ways.find(([program, ...args]) => {
    const probe = ["unshare", "--net", "ip", "link", "add", "probe", "type", "bridge"];
    return new Deno.Command(program, { args: [...args, ...probe], stdout: "null", stderr: "null" })
      .outputSync().success;
  });
}

/** The direction in which nothing passes, seen from the machine. */
export type CutDirection = "both" | "from" | "to";

/** A machine. */
export interface Machine {
  readonly name: string;
  readonly address: string;
  /** The beginning of a command line that runs a program on it. */
  readonly command: readonly string[];
}

/** A network of machines; the caller's namespace is one more machine of it. */
export class Machines implements AsyncDisposable {
  readonly machines: readonly Machine[];
  readonly #holders: readonly Deno.ChildProcess[];
  readonly #cut = new Map<Machine, CutDirection>();

  private constructor(machines: readonly Machine[], holders: readonly Deno.ChildProcess[]) {
    this.machines = machines;
    this.#holders = holders;
  }

  /** Makes a network; throws where the caller's namespace has one already. */
  static async start(count: number): Promise<Machines> {
    const links = await ip([], ["link show"]);
    if (links.match(/^\d+: /gm)?.length !== 1) {
      throw new Error("there is a network here, expected none (unshare --net)");
    }
    await ip([], [
      "link set lo up",
      `link add attune type bridge`,
      `link set attune address ${hardware(OUTSIDE)} up`,
      `address add ${NETWORK}.${OUTSIDE}/24 dev attune`,
    ]);
    // A namespace lasts as long as a process in it.
    const holders = Array.from({ length: count }, () =>
      new Deno.Command("unshare", {
        args: ["--net", "sh", "-c", "echo ready; exec cat"],
        ...{ stdin: "piped", stdout: "piped" },
      }).spawn());
    const machines = holders.map(({ pid }, at): Machine => ({
      name: `m${at + 1}`,
      address: `${NETWORK}.${at + 2}`,
      command: ["nsenter", "--target", `${pid}`, "--net"],
    }));
    const network = new Machines(machines, holders);
    try {
      for (const [at, { stdout, pid }] of holders.entries()) {
        await stdout.pipeThrough(new TextDecoderStream()).getReader().read();
        await ip([], [
          `link add m${at + 1} type veth peer name eth0 address ${hardware(at + 2)} netns ${pid}`,
          `link set m${at + 1} master attune up`,
        ]);
        await ip(machines[at].command, [
          "link set lo up",
          `address add ${machines[at].address}/24 dev eth0`,
          "link set eth0 up",
        ]);
      }
      await network.#route();
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** From here on nothing passes from or to a machine. */
  async cut(machine: Machine, direction: CutDirection): Promise<void> {
    this.#cut.set(machine, direction);
    await this.#route();
  }

  /** From here on everything passes again. */
  async heal(machine: Machine): Promise<void> {
    this.#cut.delete(machine);
    await this.#route();
  }

  /** Ends it; programs that run on its machines are ended before. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const holder of this.#holders) {
      await holder.stdin.close();
      await holder.status;
    }
  }

  /** Tells each machine the hardware addresses of the others, or a wrong one. */
  async #route(): Promise<void> {
    const all: (Machine | null)[] = [null, ...this.machines];
    const isCut = (machine: Machine | null, direction: CutDirection) => {
      const found = machine && this.#cut.get(machine);
      return found === "both" || found === direction;
    };
    await Promise.all(all.map((from, at) =>
      ip(
        from?.command ?? [],
        all.flatMap((to, place) => {
          if (to === from) return [];
          const address = isCut(from, "from") || isCut(to, "to") ? NOBODY : hardware(place + 1);
          const device = at === 0 ? "attune" : "eth0";
          return [`neighbour replace ${NETWORK}.${place + 1} lladdr ${address} nud permanent dev ${device}`];
        }),
      )
    ));
  }
}

function hardware(number: number): string {
  return `02:00:00:00:00:${number.toString(16).padStart(2, "0")}`;
}

/** Runs commands of `ip`, and gives what it says. */
async function ip(command: readonly string[], lines: readonly string[]): Promise<string> {
  const [program, ...args] = [...command, "ip", "-batch", "-"];
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(lines.join("\n") + "\n"));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`ip: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
