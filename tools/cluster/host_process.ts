// A host of `deno task cluster` as a process of its own: the addresses of the servers with commas, the name
// of the memory, the durability, and the name of the host. It runs until it is killed.

import { host, natsLog } from "../../src/cluster/mod.ts";

const [servers, name, durability, hostName] = Deno.args;
await using _host = await host(
  natsLog({
    servers: servers.split(","),
    name,
    auth: { user: "app", password: "app" },
    durability: durability === "replicated" ? "replicated" : "disk",
  }),
  { name: hostName },
);
console.log(`${hostName} runs`);
await new Promise(() => {});
