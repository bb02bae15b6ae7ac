// Servers of NATS on loopback: one, or several that replicate, each in a folder of its own, on ports that
// were free. They are stopped by their process ids, and can be killed, frozen and started again on the same
// ports and folders.

import { findProgram } from "../requirements.ts";

/** Where Debian's package puts it, which is not always on PATH. */
const PLACES: readonly string[] = ["/usr/sbin/nats-server", "/usr/bin/nats-server"];
/** How to get it, as `requires` says it. */
export const NATS_REMEDY =
  "apt-get install nats-server, 2.12 or newer (CONTRIBUTING.md), or NATS_SERVER=FILE";
export const OLD_NATS_REMEDY = ".ci/install-nats on Debian 12, or a file older than 2.12 in NATS_OLD_SERVER";
const OLDEST_MINOR = 12;
const READY_MS = 20_000;

/**
 * The server's program, 2.12 or newer: NATS_SERVER, then PATH, then where Debian puts it; undefined where
 * there is none.
 */
export function findNatsServer(named: string | undefined = Deno.env.get("NATS_SERVER")): string | undefined {
  return candidates(named).find((path) => minorOf(path) >= OLDEST_MINOR);
}

/** A program that is too old, which must be refused: NATS_OLD_SERVER, then as {@link findNatsServer}. */
export function findOldNatsServer(): string | undefined {
  return candidates(Deno.env.get("NATS_OLD_SERVER")).find((path) => minorOf(path) < OLDEST_MINOR);
}

/** The version of a server's program, "2.15.1"; "" where it says none. */
export function versionOfServer(program: string): string {
  const { stdout } = new Deno.Command(program, { args: ["-v"], stderr: "null" }).outputSync();
  return /^nats-server: v(\d+\.\d+\.\d+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? "";
}

function candidates(named: string | undefined): string[] {
  // An empty variable counts as none.
  const cache = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") ?? ""}/.cache`;
  const fetched = ["new", "old"].map((folder) => `${cache}/attune-nats/${folder}/nats-server`);
  const paths = [named, findProgram("nats-server"), ...PLACES, ...fetched];
  return paths.filter((path) => path !== undefined && isFile(path)).map(String);
}

/** The minor version of 2.x; NaN where there is none. */
function minorOf(program: string): number {
  const [major, minor] = versionOfServer(program).split(".").map(Number);
  return major === 2 ? minor : major > 2 ? Infinity : NaN;
}

/** A user of the account that has JetStream. */
export interface NatsUser {
  readonly user: string;
  readonly password: string;
  /** Subjects that the user may publish to and subscribe to; all unless given. */
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
  /** Whether the user may answer what it received. */
  readonly allowResponses?: boolean;
}

/** How servers are started. */
export interface NatsServerSettings {
  readonly program: string;
  /** The number of servers; more than one replicate. 1 unless given. */
  readonly count?: number;
  /** Whether each write is synced; true unless given. */
  readonly isSynced?: boolean;
  /** Users of the account; one, "app" with the password "app", unless given. */
  readonly users?: readonly NatsUser[];
  /** Public nkeys of more users of the account. */
  readonly nkeys?: readonly string[];
  /** Whether the account may ask the servers whether they sync; true unless given. */
  readonly mayAsk?: boolean;
  /** Files of a certificate in PEM, for TLS. */
  readonly tls?: {
    readonly cert: string;
    readonly key: string;
    readonly ca?: string;
    readonly isFirst?: boolean;
  };
  /** The bytes that streams may take on disk; as many as there are unless given. */
  readonly mostBytes?: number;
  /** More lines of the configuration. */
  readonly more?: string;
  /** Where folders are made; a temporary folder unless given, which is removed in the end. */
  readonly folder?: string;
  /** Ports that clients connect to, in order; free ones unless given. */
  readonly ports?: readonly number[];
  /** Where each of them runs; on loopback unless given. */
  readonly places?: readonly NatsPlace[];
}

/** Where a server runs. */
export interface NatsPlace {
  readonly address: string;
  /** The beginning of a command line that runs a program there. */
  readonly command: readonly string[];
}

const LOOPBACK: NatsPlace = { address: "127.0.0.1", command: [] };

/** Running servers. */
export class NatsServers implements AsyncDisposable {
  readonly servers: readonly NatsServer[];
  readonly folder: string;
  readonly #isTemporary: boolean;

  private constructor(servers: readonly NatsServer[], folder: string, isTemporary: boolean) {
    this.servers = servers;
    this.folder = folder;
    this.#isTemporary = isTemporary;
  }

  /** Starts them, and waits until each says that it is ready. */
  static async start(settings: NatsServerSettings): Promise<NatsServers> {
    const { count = 1, ports = [], places = [] } = settings;
    const folder = settings.folder ?? await Deno.makeTempDir({ prefix: "attune-nats-" });
    const chosen = [...ports.slice(0, count), ...freePorts(2 * count - Math.min(ports.length, count))];
    const placeOf = (at: number) => places[at] ?? LOOPBACK;
    const routes = chosen.slice(count).map((port, at) => `nats://${placeOf(at).address}:${port}`);
    const servers: NatsServer[] = [];
    for (let at = 0; at < count; at++) {
      const name = `n${at + 1}`, home = `${folder}/${name}`;
      await Deno.mkdir(home, { recursive: true });
      const route = count === 1 ? null : { port: chosen[count + at], routes };
      await Deno.writeTextFile(
        `${home}/server.conf`,
        configurationOf(settings, name, home, `${placeOf(at).address}:${chosen[at]}`, route),
      );
      servers.push(new NatsServer(settings.program, name, home, chosen[at], placeOf(at)));
    }
    const started = new NatsServers(servers, folder, settings.folder === undefined);
    try {
      await Promise.all(servers.map((server) => server.start()));
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Addresses for clients. */
  get addresses(): string[] {
    return this.servers.map(({ place, port }) => `${place.address}:${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server.end("SIGKILL")));
    if (this.#isTemporary) await Deno.remove(this.folder, { recursive: true });
  }
}

/** One server. */
export class NatsServer {
  readonly name: string;
  readonly folder: string;
  readonly port: number;
  readonly place: NatsPlace;
  readonly #program: string;
  #child: Deno.ChildProcess | null = null;
  #said: Promise<void> | null = null;
  #lines = "";
  /** A program that ends without a word to its servers takes them with it. */
  readonly #kill = () => this.signal("SIGKILL");

  constructor(program: string, name: string, folder: string, port: number, place: NatsPlace = LOOPBACK) {
    this.#program = program;
    this.place = place;
    this.name = name;
    this.folder = folder;
    this.port = port;
  }

  /** The process id; 0 while it does not run. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What it has said since it was last started. */
  get lines(): string {
    return this.#lines;
  }

  /** Starts it, or starts it again. */
  async start(): Promise<void> {
    const [program, ...args] = [...this.place.command, this.#program, "-c", `${this.folder}/server.conf`];
    const child = new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
    this.#child = child;
    globalThis.addEventListener("unload", this.#kill);
    this.#lines = "";
    const ready = Promise.withResolvers<void>();
    this.#said = this.#listen(child, ready);
    const timer = setTimeout(() => ready.reject(new Error(`not ready in ${READY_MS} ms`)), READY_MS);
    try {
      await ready.promise;
    } catch (cause) {
      await this.end("SIGKILL");
      throw new Error(`nats-server ${this.name}: ${String(cause)}\n${this.#lines}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a signal: SIGSTOP freezes it, SIGCONT lets it go on. */
  signal(signal: Deno.Signal): void {
    try {
      this.#child?.kill(signal);
    } catch {
      // It has ended by itself.
    }
  }

  /** Ends it by a signal, and waits until it is gone. */
  async end(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    globalThis.removeEventListener("unload", this.#kill);
    try {
      child.kill(signal);
    } catch {
      // It has ended by itself.
    }
    await child.status;
    await this.#said;
  }

  async #listen(child: Deno.ChildProcess, ready: PromiseWithResolvers<void>): Promise<void> {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#lines = (this.#lines + text).slice(-200_000);
      if (this.#lines.includes("Server is ready")) ready.resolve();
    }
    const { code } = await child.status;
    ready.reject(new Error(`ended with ${code}`));
  }
}

function configurationOf(
  {
    isSynced = true,
    users = [{ user: "app", password: "app" }],
    nkeys = [],
    mayAsk = true,
    tls,
    mostBytes,
    more,
  }: NatsServerSettings,
  name: string,
  folder: string,
  listen: string,
  route: { readonly port: number; readonly routes: readonly string[] } | null,
): string {
  const question = "$SYS.REQ.SERVER.PING.JSZ";
  const list = (subjects: readonly string[]) =>
    `[${subjects.map((subject) => JSON.stringify(subject)).join(", ")}]`;
  const userOf = ({ user, password, publish, subscribe, allowResponses }: NatsUser) => {
    const allowed = [
      ...publish ? [`publish: { allow: ${list(publish)} }`] : [],
      ...allowResponses ? ['allow_responses: { max: 1, expires: "1m" }'] : [],
      ...subscribe ? [`subscribe: { allow: ${list(subscribe)} }`] : [],
    ];
    const permissions = allowed.length > 0 ? `, permissions: { ${allowed.join(", ")} }` : "";
    return `{ user: ${JSON.stringify(user)}, password: ${JSON.stringify(password)}${permissions} }`;
  };
  return [
    `server_name: ${name}`,
    `listen: ${JSON.stringify(listen)}`,
    `jetstream { store_dir: ${JSON.stringify(`${folder}/store`)}${
      isSynced ? ", sync_interval: always" : ""
    } }`,
    "accounts {",
    `  APP: { jetstream: ${mostBytes === undefined ? "enabled" : `{ max_file: ${mostBytes} }`}, users: [${
      [...users.map(userOf), ...nkeys.map((nkey) => `{ nkey: ${nkey} }`)].join(", ")
    }]${mayAsk ? `, imports: [{ service: { account: SYS, subject: "${question}" } }]` : ""} }`,
    `  SYS: { users: [{ user: sys, password: sys }], exports: [{ service: "${question}", response_type: stream }] }`,
    "}",
    "system_account: SYS",
    ...route === null ? [] : [
      `cluster { name: attune, listen: ${JSON.stringify(`${listen.split(":")[0]}:${route.port}`)}, routes: ${
        list(route.routes)
      } }`,
    ],
    ...tls
      ? [
        `tls { cert_file: ${JSON.stringify(tls.cert)}, key_file: ${JSON.stringify(tls.key)}${
          tls.ca ? `, ca_file: ${JSON.stringify(tls.ca)}, verify: true` : ""
        }${tls.isFirst ? ", handshake_first: true" : ""} }`,
      ]
      : [],
    ...more === undefined ? [] : [more],
    "",
  ].join("\n");
}

/** Ports that were free a moment ago. */
function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => (addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return ports;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
