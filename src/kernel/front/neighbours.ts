/**
 * The owner of the other end of a connection on loopback. Linux tells whose socket it is: another user of the machine has no
 * business with a kernel.
 *
 * Invariant: who cannot be told is let in, as everywhere else, and has to know the key.
 */

/** Whether the other end belongs to another user, who is not root. False where the system does not tell. */
export function isOfOther(stream: Deno.TcpConn): boolean {
  if (Deno.build.os !== "linux") return false;
  const own = Deno.uid();
  if (own === null) return false;
  const uid = ownerOf(stream.remoteAddr.port, stream.localAddr.port);
  return uid !== null && uid !== own && uid !== 0;
}

/** Many may connect at once: a look at the system's tables serves all who were there by then, for so long. */
const FRESH_MS = 20;
let tables = "", readAt = -Infinity;

/** The number of the user whose socket has the first port, and is connected to the second one. */
function ownerOf(theirs: number, ours: number): number | null {
  if (performance.now() - readAt < FRESH_MS) {
    const uid = search(theirs, ours);
    if (uid !== null) return uid;
  }
  tables = ["tcp", "tcp6"].map(read).join("");
  readAt = performance.now();
  return search(theirs, ours);
}

function read(table: string): string {
  try {
    return Deno.readTextFileSync(`/proc/net/${table}`);
  } catch {
    return "";
  }
}

/** Lines are "sl local remote state queues timer retransmissions uid …", with ports in hexadecimal. */
function search(theirs: number, ours: number): number | null {
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0");
  const local = `:${hex(theirs)} `, remote = `:${hex(ours)} `;
  for (let at = tables.indexOf(local); at !== -1; at = tables.indexOf(local, at + 1)) {
    const end = tables.indexOf("\n", at), words = tables.slice(at, end).trim().split(/\s+/);
    // The rest of a connection that has ended has no owner.
    if (`${words[1]} `.endsWith(remote) && words[2] !== TIME_WAIT) return Number(words[6]);
  }
  return null;
}

const TIME_WAIT = "06";
