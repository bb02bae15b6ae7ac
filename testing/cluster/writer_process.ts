// A writer as a process: FOLDER of the log, then a prefix of its keys. It sets its keys to rising numbers,
// one call after another, and says each call that was acknowledged.

import { connect, sqliteLog } from "../../src/cluster/mod.ts";

const [folder, prefix] = Deno.args, KEYS = 20, EACH = 5;
await using memory = await connect(sqliteLog(folder), { timeoutMs: 30_000 });
for (let call = 1;; call++) {
  const edits = Array.from({ length: EACH }, (_, at) => {
    const number = (call - 1) * EACH + at;
    return {
      kind: "set",
      id: `${prefix} ${number % KEYS}`,
      key: [Math.sin(number), 1],
      value: [call],
    } as const;
  });
  await memory.edit(edits);
  console.log(call);
}
