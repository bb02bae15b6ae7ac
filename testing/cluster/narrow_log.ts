// A log in memory whose messages are as small as a log's may be, which refuses whatever is larger, as a
// server does.

import { type ClusterLog, LogError } from "../../src/cluster/log.ts";
import { memoryLog } from "../../src/cluster/memory_log.ts";

/** What was sent through a narrow log. */
export interface Traffic {
  requests: number;
  /** The largest request, reply and record. */
  largest: number;
}

/** A log in memory that takes messages of `largest` bytes. */
export function narrowLog(largest = 512 << 10): { readonly log: ClusterLog; readonly traffic: Traffic } {
  const inner = memoryLog(), traffic: Traffic = { requests: 0, largest: 0 };
  const checked = (operation: string, bytes: Uint8Array) => {
    traffic.largest = Math.max(traffic.largest, bytes.length);
    if (bytes.length <= largest) return;
    throw new LogError(
      operation,
      "refused",
      `message has ${bytes.length} bytes, expected ${largest} at most`,
    );
  };
  const log: ClusterLog = {
    ...inner,
    open: async (role) => {
      const session = await inner.open(role);
      const append = session.append.bind(session), request = session.request.bind(session);
      session.append = async (subject, body, options) => {
        checked("append", body);
        return await append(subject, body, options);
      };
      session.request = async (address, body, options) => {
        traffic.requests++;
        checked("request", body);
        const reply = await request(address, body, options);
        checked("request", reply);
        return reply;
      };
      Object.defineProperty(session, "largestMessage", { value: largest });
      return session;
    },
  };
  return { log, traffic };
}
