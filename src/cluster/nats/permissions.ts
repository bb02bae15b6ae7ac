/**
 * The permissions of each role of a memory on the servers, as subjects.
 */

import { describe, InputError } from "../../base/errors.ts";
import { takeWord } from "../../base/names.ts";
import { isMemoryName, MEMORY_NAME } from "./nats_options.ts";
import { inboxOf, namesOf, QUESTION } from "./stores.ts";

/**
 * The task of a user of the servers.
 *
 * - "host": computes: follows the records, keeps values and snapshots, answers readers.
 * - "writer": edits and reads.
 * - "reader": reads alone; it can set no query of its own, since a standing query is a record.
 * - "admin": makes the streams and buckets, and is a writer; needed once for each memory.
 */
export type NatsUserRole = "host" | "writer" | "reader" | "admin";

/** Subjects that a user may publish to and subscribe to, as the server's `permissions` want them. */
export interface NatsPermissions {
  /** Subjects to publish to. */
  readonly publish: readonly string[];
  /** Subjects to subscribe to. */
  readonly subscribe: readonly string[];
  /** Whether the user may publish a reply to whatever it received, as the server's `allow_responses`. */
  readonly allowResponses: boolean;
}

/**
 * The permissions that a role needs for the memory `name`, and no more: for the `permissions` of the server's
 * configuration, or for those of a user's JWT. A call without its permission is refused with a `LogError`
 * "refused".
 *
 * @param name The name of the memory, as `natsLog` takes it.
 * @param role See {@link NatsUserRole}.
 * @throws {InputError} The name is none of a memory, or the role is none.
 *
 * @example
 * ```ts
 * import { natsPermissions } from "@attune/attention/cluster";
 * import { assert } from "@std/assert";
 *
 * const reader = natsPermissions("memory", "reader"), writer = natsPermissions("memory", "writer");
 * assert(writer.publish.includes("attune.memory.log.>"));
 * assert(!reader.publish.includes("attune.memory.log.>"));
 * ```
 */
export function natsPermissions(name: string, role: NatsUserRole): NatsPermissions {
  if (!isMemoryName(name)) throw new InputError("natsPermissions", `name is ${describe(name)}`, MEMORY_NAME);
  takeWord("natsPermissions", "role", role, ["host", "writer", "reader", "admin"]);
  const names = namesOf(name), api = "$JS.API.";
  const values = `KV_${names.values}`, volatile = `KV_${names.volatile}`, objects = `OBJ_${names.objects}`;
  const streams = [names.records, values, volatile, objects];
  const watched = [values, volatile, objects];
  const publish = [
    QUESTION,
    ...streams.flatMap((stream) => [`${api}STREAM.INFO.${stream}`, `${api}STREAM.MSG.GET.${stream}`]),
    // Changes of values and pieces of objects are pushed, and the client acknowledges how far it has taken
    // them.
    ...watched.flatMap((stream) => [
      `${api}CONSUMER.CREATE.${stream}.>`,
      `${api}CONSUMER.INFO.${stream}.>`,
      `${api}CONSUMER.DELETE.${stream}.>`,
      `$JS.FC.${stream}.>`,
    ]),
    `${names.askPrefix}>`,
  ];
  const subscribe = [`${inboxOf(name, role === "host" ? "host" : "client")}.>`];
  if (role === "host") {
    publish.push(
      ...["CREATE", "INFO", "MSG.NEXT", "DELETE"].map((call) => `${api}CONSUMER.${call}.${names.records}.>`),
      // The first reader of a subject has no name yet.
      `${api}CONSUMER.CREATE.${names.records}`,
      `${api}STREAM.PURGE.${names.records}`,
      `${api}STREAM.PURGE.${objects}`,
      `${api}STREAM.CREATE.${volatile}`,
      `$KV.${names.values}.>`,
      `$KV.${names.volatile}.>`,
      `$O.${names.objects}.>`,
    );
    subscribe.push(`${names.askPrefix}>`);
  }
  if (role === "writer" || role === "admin") publish.push(`${names.recordPrefix}>`, `$KV.${names.values}.>`);
  if (role === "admin") publish.push(...streams.map((stream) => `${api}STREAM.CREATE.${stream}`));
  return { publish, subscribe, allowResponses: role === "host" };
}
