/**
 * A memory that outgrows one machine: keys in partitions, ordered by a log, answered by as many hosts as
 * there are.
 *
 * {@link connect} gives a client, {@link host} starts a host, and both need a log: {@link memoryLog} in one
 * process, {@link sqliteLog} for the processes of one machine, {@link natsLog} for many machines.
 *
 * @example
 * ```ts
 * import { connect, host, memoryLog } from "@attune/attention/cluster";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const log = memoryLog();
 * await using _shard = await host(log);
 * await using memory = await connect(log, { create: { dim: 2, valueDim: 1, partitions: 16 } });
 * const token = await memory.edit([{ kind: "set", id: "doc-17", key: [1, 0], value: [3] }]); // kept as the log keeps it
 * await memory.setQuery("reader-1", [0.5, 0]);
 * const { output } = await memory.read(["reader-1"], { after: token }); // read-your-writes over all partitions
 * assertAlmostEquals(output.data[0], 3, 1e-6);
 * ```
 *
 * @module
 */

export { connect } from "./connect.ts";
export { ClusterHost, host } from "./host.ts";
export type { HostedPartition, HostStatus } from "./host_status.ts";
export type { HostOptions } from "./host_options.ts";
export { ClusterLearner, type ClusterStep } from "./cluster_learner.ts";
export type { ClusterExample, ClusterLearnerOptions } from "./learner_questions.ts";
export { ClusterMemory } from "./cluster_memory.ts";
export type { ClusterKey, ClusterOutput, PartitionPlace, StoredKey } from "./cluster_answers.ts";
export type { ClusterShape, MadeShape } from "./cluster_config.ts";
export type { RuleOptions } from "../durable/score_rules.ts";
export type { ClusterStatus, PartitionStatus } from "./cluster_status.ts";
export { ClusterError, type ClusterFault } from "./cluster_error.ts";
export type { ClusterEdit } from "./cluster_edits.ts";
export type { NamedMask } from "./initial_mask.ts";
export type {
  ConnectOptions,
  EditOptions,
  PassingOptions,
  PeekOptions,
  QueryOptions,
  ReadOptions,
  ShiftOptions,
  TopKeysOptions,
} from "./memory_options.ts";
export type { ClusterToken } from "./token.ts";
export {
  type ClusterLog,
  LogError,
  type LogFailure,
  type LogRecord,
  type LogRole,
  type LogSession,
  type LogValue,
  type LogWait,
} from "./log.ts";
export { memoryLog } from "./memory_log.ts";
export { sqliteLog } from "./sqlite/sqlite_log.ts";
export { natsLog } from "./nats/nats_log.ts";
export type { NatsAuth, NatsDurability, NatsLogOptions, NatsTls } from "./nats/nats_options.ts";
export { type NatsPermissions, natsPermissions, type NatsUserRole } from "./nats/permissions.ts";
