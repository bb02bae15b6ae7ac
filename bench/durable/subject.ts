// The process of one way of keeping: subject.ts NAME FOLDER SECONDS; prints what it costs as JSON.

import { measureWay, type Way } from "./memory_workload.ts";

async function wayOf(name: string): Promise<Way> {
  switch (name) {
    case "usearch":
      return (await import("./usearch_way.ts")).USEARCH;
    case "lancedb":
      return (await import("./lancedb_way.ts")).LANCEDB;
    case "alone":
      return (await import("./attune_way.ts")).ENGINE_ALONE;
    default: {
      const { durableWay } = await import("./attune_way.ts");
      return name === "normal"
        ? durableWay('durable, sync "normal"', "given to the system, not synced", { sync: "normal" })
        : durableWay("durable", "on disk", {});
    }
  }
}

if (import.meta.main) {
  const [name, folder, seconds] = Deno.args;
  const costs = await measureWay(await wayOf(name), folder, Number(seconds));
  console.log(`\n${JSON.stringify(costs)}`);
  Deno.exit();
}
