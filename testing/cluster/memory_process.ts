// A process of a cluster on NATS, which tests kill: a host, or a writer of the stream of `memory_stream.ts`
// that says which batches were acknowledged. `memory_process.ts host|write ADDRESSES NAME DURABILITY FROM`.

import { ClusterError, connect, host, LogError, natsLog } from "../../src/cluster/mod.ts";
import type { NatsDurability } from "../../src/cluster/mod.ts";
import { editsOf } from "./memory_stream.ts";

const [task, addresses, name, durability, from] = Deno.args;
const log = natsLog({
  servers: addresses.split(","),
  name,
  auth: { user: "app", password: "app" },
  durability: durability as NatsDurability,
});
if (task === "host") {
  for (let isOpen = false; !isOpen;) {
    try {
      await host(log);
      isOpen = true;
    } catch (error) {
      // Servers that have no leader yet.
      if (!(error instanceof LogError && error.isPassing)) throw error;
    }
  }
  console.log("ready");
} else {
  const memory = await connect(log);
  for (let batch = Number(from);; batch++) {
    try {
      await memory.edit(editsOf(batch));
      console.log(`ack ${batch}`);
    } catch (error) {
      if (!(error instanceof ClusterError || error instanceof LogError)) throw error;
      batch--;
    }
  }
}
