// A host as a process: FOLDER of the log, then the name of the host. It runs until it is killed, or its input
// ends.

import { host, sqliteLog } from "../../src/cluster/mod.ts";

const [folder, name] = Deno.args;
await using _host = await host(sqliteLog(folder), { name, folder: `${folder}/${name}` });
console.log("started");
for await (const _ of Deno.stdin.readable) { /* Until the input ends. */ }
