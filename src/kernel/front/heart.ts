/**
 * The socket by which a front end sees that a kernel lives: a REP that gives back whatever comes.
 */

import { Acceptor } from "./acceptor.ts";

/** Echoes on a port until it is disposed of. */
export function startHeart(ip: string, port: number): Acceptor {
  return new Acceptor(ip, port, "REP", async (peer) => {
    for await (const frames of peer.messages()) await peer.send(frames).catch(() => {});
  });
}
