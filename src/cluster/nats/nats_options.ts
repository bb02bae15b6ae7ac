/**
 * The options of `natsLog`, and their check.
 */

import { describe, InputError } from "../../base/errors.ts";
import { reading } from "../../base/lists.ts";
import { takeOptions, takeWord } from "../../base/names.ts";

/**
 * A login, one of: user and password, a token, the seed of an nkey ("SU…"), or the text of a `.creds` file.
 * Its secrets appear in no message and in no description.
 */
export type NatsAuth =
  | { readonly user: string; readonly password: string }
  | { readonly token: string }
  | { readonly nkey: string }
  | { readonly creds: string };

/** How the connection is encrypted. */
export interface NatsTls {
  /** Certificates that are trusted beside those of the system, in PEM. */
  readonly ca?: string;
  /**
   * The client's own certificate, in PEM, where the server wants one; it needs `key` and `handshakeFirst`.
   */
  readonly cert?: string;
  /** The key of `cert`, in PEM. */
  readonly key?: string;
  /**
   * Whether TLS begins before the server's greeting, as `handshake_first` of the server's configuration asks.
   */
  readonly handshakeFirst?: boolean;
}

/**
 * The faults that an acknowledged edit survives.
 *
 * - "memory": the end of any client and host, not that of the server.
 * - "disk": the loss of power of every machine. Each server must sync each write (`sync_interval: always`).
 * - "replicated": the loss of any one machine for good, by three replicas on disk. Where all servers lose
 *   power at once, what was acknowledged in the last moments may be gone, unless they sync each write too.
 */
export type NatsDurability = "memory" | "disk" | "replicated";

/** The options of `natsLog`. */
export interface NatsLogOptions {
  /**
   * Where servers listen, as "host:port", "nats://host:port" or "tls://host:port"; the others of a cluster
   * are learnt from them.
   */
  readonly servers: string | readonly string[];
  /** The name of the memory: streams and buckets of the server carry it. 1 to 64 of `A-Z a-z 0-9 _ -`. */
  readonly name: string;
  /** The login; none unless given. */
  readonly auth?: NatsAuth;
  /** Encryption; `true` trusts what the system trusts. Plain TCP unless given or a server is "tls://…". */
  readonly tls?: NatsTls | boolean;
  /**
   * The faults that acknowledged edits survive; "disk" unless given. A server or stream that is weaker is
   * refused.
   */
  readonly durability?: NatsDurability;
  /**
   * A login of the server's system account, used for one question alone: whether the servers sync each write.
   * Not needed where the account of `auth` imports the service `$SYS.REQ.SERVER.PING.JSZ`.
   */
  readonly system?: NatsAuth;
}

/** Options that were checked. */
export interface CheckedNatsOptions {
  readonly servers: readonly string[];
  readonly name: string;
  readonly auth: NatsAuth | null;
  readonly tls: NatsTls | null;
  readonly durability: NatsDurability;
  readonly system: NatsAuth | null;
}

/** The form of a memory's name, in words. */
export const MEMORY_NAME = '1 to 64 letters, digits, "_" and "-"';
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const SERVER = /^(?:(nats|tls):\/\/)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/;
const AUTH_FORMS: readonly (readonly string[])[] = [["user", "password"], ["token"], ["nkey"], ["creds"]];

/** Checks the options of `natsLog`; each is read once. */
export function checkNatsOptions(operation: string, given: NatsLogOptions): CheckedNatsOptions {
  return reading(operation, () => takeNatsOptions(operation, given));
}

function takeNatsOptions(operation: string, given: NatsLogOptions): CheckedNatsOptions {
  const options = takeOptions(operation, given, ["servers", "name", "auth", "tls", "durability", "system"]);
  const { hosts, isEncrypted } = takeServers(operation, options.servers);
  if (!isMemoryName(options.name)) {
    throw new InputError(operation, `name is ${describe(options.name)}`, MEMORY_NAME);
  }
  return {
    servers: hosts,
    name: options.name,
    auth: options.auth === undefined ? null : takeAuth(operation, "auth", options.auth),
    tls: takeTls(operation, options.tls === undefined ? isEncrypted : options.tls, isEncrypted),
    durability: takeWord(operation, "durability", options.durability ?? "disk", [
      "memory",
      "disk",
      "replicated",
    ]),
    system: options.system === undefined ? null : takeAuth(operation, "system", options.system),
  };
}

/** Whether a memory may have this name. */
export function isMemoryName(name: unknown): name is string {
  return typeof name === "string" && NAME.test(name);
}

function takeServers(operation: string, given: unknown): { hosts: string[]; isEncrypted: boolean } {
  const list = typeof given === "string" ? [given] : Array.isArray(given) ? given : [];
  const { length } = list;
  if (length === 0) {
    throw new InputError(operation, `servers is ${describe(given)}`, '"host:port", or a list of such');
  }
  let isEncrypted = false;
  // Entries are looked at one by one, since a list may say that it is of any length.
  const hosts = Array.from({ length }, (_, at) => {
    const server: unknown = list[at];
    const match = typeof server === "string" ? SERVER.exec(server) : null;
    const port = Number(match?.[3] ?? 4222);
    if (match === null || port < 1 || port > 65_535) {
      // A login inside of an address would be shown by every message that names the server, so it is not
      // shown here either.
      const shown = typeof server === "string" && server.includes("@")
        ? "an address with a login"
        : describe(server);
      const expected = '"host:port", "nats://host:port" or "tls://host:port", and logins in auth';
      throw new InputError(operation, `servers[${at}] is ${shown}`, expected);
    }
    isEncrypted ||= match[1] === "tls";
    return `${match[2]}:${port}`;
  });
  return { hosts, isEncrypted };
}

function takeAuth(operation: string, what: string, given: NatsAuth): NatsAuth {
  const forms = "one of { user, password }, { token }, { nkey } and { creds }";
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new InputError(operation, `${what} is ${Array.isArray(given) ? "a list" : typeof given}`, forms);
  }
  const fields = new Map<string, unknown>(Object.entries(given));
  const form = AUTH_FORMS.find((names) =>
    names.length === fields.size && names.every((name) => fields.has(name))
  );
  if (!form) {
    throw new InputError(operation, `${what} has ${[...fields.keys()].join(", ") || "nothing"}`, forms);
  }
  for (const [name, value] of fields) {
    if (typeof value === "string" && value !== "") continue;
    throw new InputError(operation, `${what}.${name} is ${value === "" ? "empty" : typeof value}`, "a text");
  }
  return Object.fromEntries(fields) as unknown as NatsAuth;
}

function takeTls(operation: string, given: NatsTls | boolean, isEncrypted: boolean): NatsTls | null {
  if (typeof given === "boolean") {
    if (!given && isEncrypted) {
      throw new InputError(operation, "tls is false", 'true beside a server "tls://…"');
    }
    return given ? {} : null;
  }
  const { ca, cert, key, handshakeFirst } = takeOptions(
    operation,
    given,
    ["ca", "cert", "key", "handshakeFirst"],
    "tls field",
  );
  for (const [name, value] of Object.entries({ ca, cert, key })) {
    if (value === undefined || (typeof value === "string" && value.includes("-----BEGIN"))) continue;
    throw new InputError(operation, `tls.${name} is ${typeof value}`, "a text in PEM");
  }
  if (handshakeFirst !== undefined && typeof handshakeFirst !== "boolean") {
    throw new InputError(operation, `tls.handshakeFirst is ${describe(handshakeFirst)}`, "true or false");
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new InputError(operation, "tls has one of cert and key", "both or none");
  }
  if (cert !== undefined && !handshakeFirst) {
    // Deno upgrades a connection to TLS without a certificate of its own.
    throw new InputError(
      operation,
      "tls has a cert without handshakeFirst",
      "handshakeFirst: true beside a cert",
    );
  }
  return {
    ...ca !== undefined && { ca },
    ...cert !== undefined && key !== undefined && { cert, key },
    ...handshakeFirst !== undefined && { handshakeFirst },
  };
}
