// A log whose connections a test has changed: what is late, what is counted.

import type { ClusterLog, LogSession } from "../../src/cluster/log.ts";

/** A log each of whose connections is given to `change` when it is opened. */
export function changedLog(inner: ClusterLog, change: (session: LogSession) => void): ClusterLog {
  return {
    ...inner,
    open: async (role) => {
      const session = await inner.open(role);
      change(session);
      return session;
    },
  };
}

/** A log whose records come `ms` milliseconds late, of the subjects that are late. */
export function lateRecords(
  inner: ClusterLog,
  ms: number,
  isLate: (subject: string) => boolean = () => true,
): ClusterLog {
  return changedLog(inner, (session) => {
    const follow = session.follow.bind(session);
    session.follow = async function* (subject, after, options) {
      for await (const records of follow(subject, after, options)) {
        if (isLate(subject)) await new Promise((resolve) => setTimeout(resolve, ms));
        yield records;
      }
    };
  });
}

/** A log whose replies are given to `see` before they arrive. */
export function seenReplies(
  inner: ClusterLog,
  see: (reply: Uint8Array) => void | Promise<void>,
): ClusterLog {
  return changedLog(inner, (session) => {
    const request = session.request.bind(session);
    session.request = async (address, body, options) => {
      const reply = await request(address, body, options);
      await see(reply);
      return reply;
    };
  });
}
