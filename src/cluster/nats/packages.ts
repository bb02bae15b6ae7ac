/**
 * The packages that speak to NATS, imported where they are used and nowhere else, so that a program without
 * NATS fetches none.
 */

// deno-lint-ignore-file no-import-prefix -- Published modules use no alias of an import map.

import { DenoTransport } from "./transport.ts";

export type * as Core from "npm:@nats-io/nats-core@3.4.0/internal";
export type * as JetStream from "npm:@nats-io/jetstream@3.4.0";
export type * as Kv from "npm:@nats-io/kv@3.4.0";
export type * as Obj from "npm:@nats-io/obj@3.4.0";

/** The packages, loaded once. */
async function load() {
  const [core, jetstream, kv, obj] = await Promise.all([
    import("npm:@nats-io/nats-core@3.4.0/internal"),
    import("npm:@nats-io/jetstream@3.4.0"),
    import("npm:@nats-io/kv@3.4.0"),
    import("npm:@nats-io/obj@3.4.0"),
  ]);
  // The platform computes digests of objects faster than JavaScript.
  obj.setSha256Backend("native");
  return { core, jetstream, kv, obj };
}

/** The result of {@link loadNats}. */
export type NatsPackages = Awaited<ReturnType<typeof load>>;

let loading: Promise<NatsPackages> | null = null;

/**
 * Loads the packages and gives them the transport of `transport.ts`, which every new connection of theirs
 * then uses.
 */
export async function loadNats(): Promise<NatsPackages> {
  loading ??= load();
  try {
    const packages = await loading;
    // The process has one factory; it is set again each time, since other code may have set its own.
    packages.core.setTransportFactory({ factory: () => new DenoTransport(), defaultPort: 4222 });
    return packages;
  } catch (cause) {
    loading = null;
    throw cause;
  }
}
