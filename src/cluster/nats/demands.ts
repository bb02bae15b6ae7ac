/**
 * The demands on servers, streams and buckets, and the list of those that are not met. Everything that can be
 * asked is asked, since a server that does not sync acknowledges a write as one that does.
 */

import { LogError } from "../log.ts";
import type { NatsDurability } from "./nats_options.ts";
import type { JetStream } from "./packages.ts";

/** The facts that a server gives of itself. */
export interface ServerFacts {
  readonly name: string;
  readonly version: string;
  /** Whether it has JetStream; only then the rest counts. */
  readonly hasJetStream: boolean;
  /** Whether it syncs each write; null where it does not say. */
  readonly isSynced: boolean | null;
}

/** The oldest server: older ones ignore what they do not know instead of refusing it. */
export const OLDEST_SERVER: readonly [number, number] = [2, 12];
const REPLICAS = 3;

/** Whether a version is new enough. */
export function isNewEnough(version: string): boolean {
  const match = /^v?(\d+)\.(\d+)\./.exec(version);
  if (match === null) return false;
  const major = Number(match[1]), minor = Number(match[2]);
  return major > OLDEST_SERVER[0] || (major === OLDEST_SERVER[0] && minor >= OLDEST_SERVER[1]);
}

/** The demands that servers do not meet. */
export function weaknessesOfServers(servers: readonly ServerFacts[], durability: NatsDurability): string[] {
  const found: string[] = [];
  for (const { name, version, hasJetStream, isSynced } of servers) {
    if (!isNewEnough(version)) {
      found.push(`server ${name} is ${version}, expected ${OLDEST_SERVER.join(".")} or newer`);
    }
    if (durability !== "disk" || !hasJetStream || isSynced) continue;
    found.push(
      isSynced === null
        ? `server ${name} does not say whether it syncs each write`
        : `server ${name} does not sync each write, expected "sync_interval: always" in its configuration`,
    );
  }
  if (durability !== "memory" && servers.length === 0) found.push("no server answered");
  return found;
}

/** The kinds of streams: records, values that outlive the server, values that need not, objects. */
export type StreamKind = "records" | "values" | "volatile" | "objects";

/** The demands that the configuration of a stream does not meet. */
export function weaknessesOfStream(
  config: JetStream.StreamConfig,
  kind: StreamKind,
  durability: NatsDurability,
  subjects: readonly string[],
): string[] {
  const found: string[] = [];
  const lack = (what: string, expected: string) =>
    found.push(`stream ${config.name} ${what}, expected ${expected}`);
  const isKept = kind !== "volatile" && durability !== "memory";
  if (isKept && config.storage !== "file") lack(`has storage "${config.storage}"`, '"file"');
  if (isKept && `${config.persist_mode ?? "default"}` !== "default") {
    lack(`has persist_mode "${config.persist_mode}"`, '"default"');
  }
  if (durability === "replicated" && config.num_replicas < REPLICAS) {
    lack(`has ${config.num_replicas} replica${config.num_replicas === 1 ? "" : "s"}`, `${REPLICAS}`);
  }
  if (config.no_ack) lack("acknowledges nothing", "no_ack: false");
  if (config.retention !== "limits") lack(`has retention "${config.retention}"`, '"limits"');
  if (config.max_age > 0) lack("removes what is old", "max_age: 0");
  if (config.max_msgs > 0 && config.discard !== "new") {
    lack("removes the oldest when it is full", 'discard: "new"');
  }
  if (config.max_bytes > 0 && config.discard !== "new") {
    lack("removes the oldest when it is full", 'discard: "new"');
  }
  if (kind === "records" && config.max_msgs_per_subject > 0) {
    lack("removes the oldest of a subject", "no limit");
  }
  if (kind !== "records" && kind !== "objects" && config.allow_direct) {
    lack("lets any replica answer", "allow_direct: false");
  }
  if (config.sealed) lack("is sealed", "sealed: false");
  if (config.deny_purge) lack("denies purges", "deny_purge: false");
  if (config.mirror || (config.sources?.length ?? 0) > 0) lack("copies another stream", "one of its own");
  if (config.subject_transform) lack("renames subjects", "no subject_transform");
  const covered = config.subjects ?? [];
  if (subjects.some((subject) => !covered.includes(subject))) {
    lack(`has subjects ${covered.join(", ") || "none"}`, subjects.join(", "));
  }
  return found;
}

/** Throws where something is lacking. */
export function refuseWeak(
  operation: string,
  durability: NatsDurability,
  weaknesses: readonly string[],
): void {
  if (weaknesses.length === 0) return;
  throw new LogError(
    operation,
    "refused",
    `durability "${durability}" is not given: ${weaknesses.join("; ")}`,
  );
}

/** Reads a server's answer to `$SYS.REQ.SERVER.PING.JSZ`; null where it is none. */
export function readServerFacts(text: string): ServerFacts | null {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return null;
  }
  const server = fieldOf(answer, "server"), data = fieldOf(answer, "data");
  const name = fieldOf(server, "name"), version = fieldOf(server, "ver");
  if (typeof name !== "string" || typeof version !== "string") return null;
  const config = fieldOf(data, "config");
  const isSynced = config === undefined ? null : fieldOf(config, "sync_always") === true;
  // A server without JetStream says "disabled".
  return { name, version, hasJetStream: fieldOf(data, "disabled") !== true, isSynced };
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return new Map<string, unknown>(Object.entries(value)).get(name);
}
