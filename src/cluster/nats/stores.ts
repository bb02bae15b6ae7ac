/**
 * The streams and buckets of a memory on the servers: their names, their making, and the demand that they are
 * what was asked for.
 */

import { LARGEST_VALUE, LogError, type LogRole } from "../log.ts";
import {
  readServerFacts,
  refuseWeak,
  type ServerFacts,
  type StreamKind,
  weaknessesOfServers,
  weaknessesOfStream,
} from "./demands.ts";
import { NatsLink } from "./link.ts";
import { failureOf, isTaken } from "./nats_errors.ts";
import type { CheckedNatsOptions } from "./nats_options.ts";
import type { Core, JetStream } from "./packages.ts";

/** Names of what a memory has on the servers. */
export interface StoreNames {
  /** The stream of records. */
  readonly records: string;
  /** Buckets of values. */
  readonly values: string;
  readonly volatile: string;
  /** The bucket of objects. */
  readonly objects: string;
  /** Before the subject of a record. */
  readonly recordPrefix: string;
  /** Before the address of a request. */
  readonly askPrefix: string;
}

/** The names of the memory `name`. */
export function namesOf(name: string): StoreNames {
  return {
    records: `attune_${name}`,
    values: `attune_${name}_values`,
    volatile: `attune_${name}_volatile`,
    objects: `attune_${name}_objects`,
    recordPrefix: `attune.${name}.log.`,
    askPrefix: `attune.${name}.ask.`,
  };
}

/** Where replies to sessions of a role come, so that no other role may read them. */
export function inboxOf(name: string, role: LogRole): string {
  return `_INBOX.attune.${name}.${role}`;
}

/** For how long the servers know a record again that is sent twice. */
const DUPLICATE_WINDOW_MS = 120_000;
/** Room for the value of a key and the headers of its message. */
const LARGEST_VALUE_MESSAGE = LARGEST_VALUE + 4096;
/** The question that says of every server whether it syncs. */
export const QUESTION = "$SYS.REQ.SERVER.PING.JSZ";
const ANSWER_MS = 2000, STALL_MS = 250;

/** A stream as it must be. */
interface Wanted {
  readonly kind: StreamKind;
  readonly config: Partial<JetStream.StreamConfig> & { readonly name: string };
}

/**
 * The four streams of a memory, in the order in which they are made; that of volatile values last, since it
 * may be gone.
 */
function wantedOf(
  names: StoreNames,
  { durability }: CheckedNatsOptions,
  nanos: (ms: number) => number,
): Wanted[] {
  const shared = {
    storage: durability === "memory" ? "memory" as const : "file" as const,
    num_replicas: durability === "replicated" ? 3 : 1,
    retention: "limits" as const,
    discard: "new" as const,
    max_age: 0,
  };
  const values = {
    ...shared,
    max_msgs_per_subject: 1,
    max_msg_size: LARGEST_VALUE_MESSAGE,
    allow_rollup_hdrs: true,
    allow_msg_ttl: true,
    // Any replica might answer a direct get, and one that lags would give an old value.
    allow_direct: false,
  };
  return [
    {
      kind: "records",
      config: {
        ...shared,
        name: names.records,
        subjects: [`${names.recordPrefix}>`],
        duplicate_window: nanos(DUPLICATE_WINDOW_MS),
        allow_direct: false,
      },
    },
    {
      kind: "values",
      config: { ...values, name: `KV_${names.values}`, subjects: [`$KV.${names.values}.>`] },
    },
    {
      kind: "objects",
      config: {
        ...shared,
        name: `OBJ_${names.objects}`,
        subjects: [`$O.${names.objects}.C.>`, `$O.${names.objects}.M.>`],
        allow_rollup_hdrs: true,
        allow_direct: true,
      },
    },
    {
      kind: "volatile",
      config: {
        ...values,
        name: `KV_${names.volatile}`,
        subjects: [`$KV.${names.volatile}.>`],
        storage: "memory",
        // A bucket in memory is gone when its server restarts; the revisions of the next one must be greater.
        first_seq: Date.now(),
      },
    },
  ];
}

/** The streams and buckets of one memory. */
export class NatsStores {
  readonly names: StoreNames;
  readonly #link: NatsLink;
  readonly #options: CheckedNatsOptions;
  readonly #wanted: readonly Wanted[];
  /**
   * When the stream of records was made: another stream of that name is not the one that edits were
   * acknowledged by.
   */
  #created = "";
  servers: readonly ServerFacts[] = [];

  constructor(link: NatsLink, options: CheckedNatsOptions) {
    this.#link = link;
    this.#options = options;
    this.names = namesOf(options.name);
    this.#wanted = wantedOf(this.names, options, link.packages.core.nanos);
  }

  /** Demands what was asked for of servers and streams, and makes the streams that are not there. */
  async open(): Promise<void> {
    await this.demandServers();
    for (const wanted of this.#wanted) {
      const info = await this.#make("open", wanted, true);
      if (wanted.kind === "records") this.#created = info.created;
    }
    this.#link.checkBeforeWrites(() => this.demandServers());
  }

  /** Makes the bucket of volatile values anew, whose server may have forgotten it. */
  async makeVolatile(): Promise<void> {
    const volatile = this.#wanted.find(({ kind }) => kind === "volatile");
    if (!volatile) return;
    await this.#make("open", { ...volatile, config: { ...volatile.config, first_seq: Date.now() } }, false);
  }

  /**
   * The state of the stream of records, which must be the one that was opened and hold what was acknowledged.
   *
   * @param seen The number of a record that was acknowledged or read.
   * @throws {LogError} "damaged".
   */
  async stateOfRecords(operation: string, seen: number): Promise<JetStream.StreamState> {
    const info = await this.#link.call(
      operation,
      {},
      "always",
      () => this.#link.jsm.streams.info(this.names.records),
    );
    if (info.created !== this.#created) {
      const detail =
        `stream ${this.names.records} was made ${info.created}, expected that of ${this.#created}`;
      throw new LogError(operation, "damaged", detail);
    }
    const lost = info.state.lost?.msgs?.length ?? 0;
    if (lost > 0) {
      throw new LogError(
        operation,
        "damaged",
        `stream ${this.names.records} has lost ${lost} records, expected none`,
      );
    }
    if (info.state.last_seq < seen) {
      const detail = `stream ${this.names.records} ends at ${info.state.last_seq}, expected ${seen} or more`;
      throw new LogError(operation, "damaged", detail);
    }
    return info.state;
  }

  /** Demands of all servers that answer that they are new enough and, for "disk", that they sync. */
  async demandServers(): Promise<void> {
    const { durability } = this.#options;
    const info = this.#link.nc.info;
    const first: ServerFacts = {
      name: info?.server_name ?? "",
      version: info?.version ?? "",
      hasJetStream: info?.jetstream === true,
      isSynced: null,
    };
    // The answers of an old server to other questions count for nothing.
    refuseWeak("open", durability, weaknessesOfServers([first], "memory"));
    if (!first.hasJetStream) {
      throw new LogError(
        "open",
        "refused",
        `server ${first.name} has no JetStream, expected "jetstream" enabled`,
      );
    }
    if (durability !== "disk") {
      this.servers = [first];
      return;
    }
    const servers = await this.#askServers();
    if (servers === null) {
      throw new LogError(
        "open",
        "refused",
        `whether the servers sync each write cannot be asked, expected an account that imports ${QUESTION}, ` +
          "or the login of the system account in system",
      );
    }
    refuseWeak("open", durability, weaknessesOfServers(servers, durability));
    this.servers = servers;
  }

  /**
   * The facts of all servers, over this connection or over one of the system account; null where neither may
   * ask.
   */
  async #askServers(): Promise<ServerFacts[] | null> {
    const found = await askOver(this.#link);
    if (found !== null || this.#options.system === null) return found;
    const link = await NatsLink.open("open", this.#options, this.#options.system, "_INBOX");
    try {
      return await askOver(link);
    } finally {
      await link.close();
    }
  }

  /** The stream as it is, or made where it is not there. */
  async #make(operation: string, wanted: Wanted, isFirst: boolean): Promise<JetStream.StreamInfo> {
    const { kind, config } = wanted, { jsm, packages } = this.#link;
    const find = async (name: string) => {
      try {
        return await jsm.streams.info(name);
      } catch (error) {
        if (failureOf(packages, error) !== "missing") throw error;
        return null;
      }
    };
    let info: JetStream.StreamInfo;
    try {
      info = await this.#link.call(operation, {}, "always", async () => {
        const found = await find(config.name);
        if (found !== null) return found;
        // They are made in this order, so that one which is missing before others are there was there once.
        const later = isFirst ? this.#wanted.slice(this.#wanted.indexOf(wanted) + 1) : [];
        for (const { kind, config: { name } } of later) {
          if (kind === "volatile") continue;
          if (await find(name) === null) continue;
          throw new LogError(operation, "damaged", `stream ${config.name} is gone, but ${name} is there`);
        }
        try {
          return await jsm.streams.add(config);
        } catch (error) {
          if (!isTaken(packages, error)) throw error;
          // Somebody else made it meanwhile, at another moment: what is there is looked at as if it had been
          // there.
          const made = await find(config.name);
          // Another client is still creating it; the next attempt finds it.
          if (made === null) throw new Error(`stream ${config.name} is being made`, { cause: error });
          return made;
        }
      });
    } catch (error) {
      if (!(error instanceof LogError) || error.isPassing) throw error;
      if (error.reason === "closed" || error.reason === "damaged") throw error;
      const detail = `stream ${config.name} cannot be had as asked for: ${error.message}`;
      throw new LogError(operation, "refused", detail, { cause: error });
    }
    const { durability } = this.#options;
    refuseWeak(
      operation,
      durability,
      weaknessesOfStream(info.config, kind, durability, config.subjects ?? []),
    );
    return info;
  }
}

/** The facts of all servers, over a connection; null where it may not ask them. */
async function askOver(link: NatsLink): Promise<ServerFacts[] | null> {
  const isAlone = link.nc.info?.cluster === undefined || link.nc.info.cluster === "";
  const found: ServerFacts[] = [];
  try {
    const answers = await link.nc.requestMany(QUESTION, JSON.stringify({ config: true, limit: 1 }), {
      maxWait: ANSWER_MS,
      ...isAlone ? { strategy: "count", maxMessages: 1 } : { strategy: "stall", stall: STALL_MS },
    });
    for await (const answer of answers) {
      if (isNobody(answer)) return null;
      const facts = readServerFacts(answer.string());
      if (facts !== null) found.push(facts);
    }
  } catch (error) {
    const failure = failureOf(link.packages, error);
    if (failure === "unsent" || failure === "refused") return null;
    throw error;
  }
  if (found.length > 0) return found;
  throw new LogError("open", "timeout", "no server says whether it syncs each write");
}

/** Whether a message says that nobody listens to what was asked. */
export function isNobody(message: Core.Msg): boolean {
  return message.data.length === 0 && message.headers?.code === 503;
}
