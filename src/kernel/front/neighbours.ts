/**
 * Who is at the other end of a connection on loopback. Linux tells whose socket it is: another user of the machine has no
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

/** The number of the user whose socket has the first port, and is connected to the second one. */
function ownerOf(theirs: number, ours: number): number | null {
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0");
  for (const table of ["tcp", "tcp6"]) {
    try {
      for (const line of Deno.readTextFileSync(`/proc/net/${table}`).split("\n")) {
        // "sl local remote state queues timer retransmissions uid …"
        const [, local, remote, , , , , uid] = line.trim().split(/\s+/);
        if (local?.endsWith(`:${hex(theirs)}`) && remote?.endsWith(`:${hex(ours)}`)) return Number(uid);
      }
    } catch {
      // There is no such table.
    }
  }
  return null;
}
