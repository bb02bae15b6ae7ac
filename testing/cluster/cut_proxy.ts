// A way to a server on loopback that can be cut: bytes are swallowed both ways and nobody is told, as by a
// network that is gone, or the connections are closed.

/** A proxy of a port. */
export interface CutProxy extends AsyncDisposable {
  /** Where clients connect to. */
  readonly address: string;
  /**
   * From here on bytes are swallowed, also those of new connections: both ways, or only what the server says.
   */
  swallow(direction?: "both" | "answers"): void;
  /** Closes all connections. */
  close(): void;
  /** From here on bytes pass again, over new connections; those whose bytes were swallowed are closed. */
  heal(): void;
}

/** Starts a proxy to a port of 127.0.0.1. */
export function startCutProxy(port: number): CutProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>(), pumping: Promise<void>[] = [];
  let swallowed: "none" | "both" | "answers" = "none";
  const drop = (connection: Deno.TcpConn) => {
    if (!open.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // Its other end was first.
    }
  };
  const pump = async (from: Deno.TcpConn, to: Deno.TcpConn, isAnswer: boolean) => {
    const bytes = new Uint8Array(1 << 16);
    const isSwallowed = () => swallowed === "both" || (isAnswer && swallowed === "answers");
    try {
      for (let count = await from.read(bytes); count !== null; count = await from.read(bytes)) {
        if (isSwallowed()) continue;
        for (let at = 0; at < count;) at += await to.write(bytes.subarray(at, count));
      }
    } catch {
      // One of the ends is gone.
    }
    // A network that is gone does not tell of an end either.
    if (isSwallowed()) return;
    drop(from);
    drop(to);
  };
  const listening = (async () => {
    for await (const client of listener) {
      open.add(client);
      const server = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => null);
      if (server === null) {
        drop(client);
        continue;
      }
      open.add(server);
      pumping.push(pump(client, server, false), pump(server, client, true));
    }
  })();
  const close = () => {
    for (const connection of [...open]) drop(connection);
  };
  return {
    address: `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    swallow: (direction = "both") => {
      swallowed = direction;
    },
    close,
    heal: () => {
      swallowed = "none";
      close();
    },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      close();
      await listening;
      await Promise.all(pumping);
    },
  };
}
