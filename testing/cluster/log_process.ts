// A process that writes records of a log on NATS, or follows them, and says on standard output what was
// acknowledged or read; tests kill it. `log_process.ts write|follow ADDRESSES NAME SUBJECT WRITER FROM`.

import { LogError } from "../../src/cluster/log.ts";
import { natsLog } from "../../src/cluster/nats/nats_log.ts";
import { bodyOf, textOfBody } from "./log_writers.ts";

const [task, addresses, name, subject, writer, from] = Deno.args;
const log = natsLog({ servers: addresses.split(","), name, auth: { user: "app", password: "app" } });
const session = await log.open("host");
console.log("open");
if (task === "write") {
  for (let at = Number(from);; at++) {
    const text = `${writer} ${at}`;
    try {
      console.log(`ack ${at} ${await session.append(subject, bodyOf(text, 300), { id: text })}`);
    } catch (error) {
      if (!(error instanceof LogError) || !error.isPassing) throw error;
      at--;
    }
  }
} else {
  for await (const records of session.follow(subject, Number(from))) {
    for (const { sequence, body } of records) console.log(`read ${sequence} ${textOfBody(body)}`);
  }
}
