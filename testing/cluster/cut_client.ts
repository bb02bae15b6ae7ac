// A process that edits and reads a memory on NATS until it is killed, and writes each call as a line of JSON:
// `cut_client.ts NAME ADDRESSES MEMORY DURABILITY FOLDER OTHER`. It leaves the tokens of its acknowledged edits in
// FOLDER, and some of its reads carry those of the client OTHER.

import { ClusterError, type ClusterToken, connect, LogError, natsLog } from "../../src/cluster/mod.ts";
import { joinTokens, NO_TOKEN } from "../../src/cluster/token.ts";
import { Random } from "../random.ts";
import { CUT_PASSING, type CutCall, cutEdits } from "./cut_calls.ts";
import { QUERY_IDS } from "./memory_stream.ts";
import { AUTH } from "./nats_scene.ts";

const [name, addresses, memoryName, durability, folder, other] = Deno.args;
if (durability !== "disk" && durability !== "replicated") throw new Error(`durability is ${durability}`);
const log = natsLog({ servers: addresses.split(","), name: memoryName, auth: AUTH, durability });
const tell = (call: CutCall) => console.log(JSON.stringify(call));

/** Makes a call and writes how it ended; anything but an answer or a typed error is a fault of the library. */
async function attempt(kind: CutCall["kind"], act: () => Promise<Partial<CutCall>>): Promise<boolean> {
  const since = performance.now(), ms = () => Math.round(performance.now() - since);
  try {
    tell({ kind, ...await act(), ms: ms() });
    return true;
  } catch (error) {
    const fault = error instanceof ClusterError
      ? error.fault
      : error instanceof LogError
      ? error.reason
      : `untyped: ${String(error)}`;
    tell({ kind, fault, detail: String(error), ms: ms() });
    return false;
  }
}

async function tokenOf(client: string): Promise<ClusterToken> {
  try {
    return JSON.parse(await Deno.readTextFile(`${folder}/${client}.json`));
  } catch {
    return NO_TOKEN;
  }
}

const memory = await connect(log, { timeoutMs: 20_000 });
const random = new Random(Number(name.slice(1)));
let written = NO_TOKEN;
for (let number = 0;; number++) {
  const timeoutMs = 300 + random.below(2500);
  await attempt("edit", async () => {
    const token = await memory.edit(cutEdits(name, number), { timeoutMs });
    written = joinTokens(written, token);
    await Deno.writeTextFile(`${folder}/${name}.new`, JSON.stringify(written));
    await Deno.rename(`${folder}/${name}.new`, `${folder}/${name}.json`);
    return { number, token };
  });
  const after = joinTokens(written, random.next() < 0.5 ? await tokenOf(other) : NO_TOKEN);
  const kind = random.pick(["read", "read", "attend", "peek"] as const);
  await attempt(kind, async () => {
    const { output, bounds, partitions, missing } = kind === "read"
      ? await memory.read([...QUERY_IDS], { after, timeoutMs })
      : kind === "attend"
      ? await memory.attend([...CUT_PASSING], { after, timeoutMs })
      : await memory.peek([...QUERY_IDS], { timeoutMs });
    return {
      ...{ output: [...output.data], bounds: [...bounds], places: [...partitions], missing: [...missing] },
      ...kind !== "peek" && { after },
    };
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
}
