/**
 * Connecting to a cluster.
 */

import { reading } from "../base/lists.ts";
import { type ClusterSeams, SYSTEM_SEAMS } from "./clock.ts";
import { makeConfig, readConfig, toConfig } from "./cluster_config.ts";
import { ClusterError } from "./cluster_error.ts";
import { ClusterMemory } from "./cluster_memory.ts";
import { patiently } from "./deadline.ts";
import { checkLog, type ClusterLog, type LogSession } from "./log.ts";
import { type ConnectOptions, toConnectOptions } from "./memory_options.ts";

const OPERATION = "connect";

/**
 * Connects to the cluster of a log, or makes one.
 *
 * The memory is `softmax(scale · Q Kᵀ) V` over all keys of all partitions, for standing queries and passing
 * ones. Keys have ids of the caller's; a key lies in partition hash(id) mod P. Edits go to the log; hosts
 * follow it and answer.
 *
 * @param log The log of the cluster: `memoryLog()`, `sqliteLog(folder)` or `natsLog(…)`.
 * @param options `create`, the shape of a cluster that is made if there is none; `timeoutMs`, `maxUnacked`.
 * @throws {InputError} When an option is unknown or has a wrong value.
 * @throws {ClusterError} "mismatch" when the log holds no cluster and `create` is not given, or one of
 * another shape.
 * @throws {LogError} When the log cannot be opened, or is weaker than asked for.
 *
 * @example
 * ```ts
 * import { connect, host, memoryLog } from "@attune/attention/cluster";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const log = memoryLog();
 * await using _host = await host(log);
 * await using memory = await connect(log, { create: { dim: 2, valueDim: 1, partitions: 4 } });
 * const token = await memory.edit([{ kind: "set", id: "doc-17", key: [1, 0], value: [3] }]);
 * await memory.setQuery("reader-1", [0.5, 0]);
 * const { output, bounds } = await memory.read(["reader-1"], { after: token });
 * assertAlmostEquals(output.data[0], 3, bounds[0]);
 * ```
 */
export function connect(log: ClusterLog, options: ConnectOptions = {}): Promise<ClusterMemory> {
  return connectWith(log, options, SYSTEM_SEAMS);
}

/** As `connect`, with the parts of a test. */
export async function connectWith(
  log: ClusterLog,
  options: ConnectOptions,
  seams: ClusterSeams,
): Promise<ClusterMemory> {
  const { wanted, ...checked } = reading(OPERATION, () => {
    const { create, ...others } = toConnectOptions(OPERATION, options);
    return { ...others, wanted: create === null ? null : toConfig(OPERATION, create, seams.newName()) };
  });
  checkLog(OPERATION, log);
  const session = await patiently(seams.clock, checked.timeoutMs, () => log.open("client"));
  try {
    const config = await patiently(seams.clock, checked.timeoutMs, () => {
      return wanted === null ? readConfig(OPERATION, session) : makeConfig(OPERATION, session, wanted);
    });
    if (config === null) {
      throw new ClusterError(
        OPERATION,
        "mismatch",
        "the log holds no cluster, expected one, or the option create",
      );
    }
    return Reflect.construct(ClusterMemory, [{ log, session, config, seams, ...checked }]);
  } catch (error) {
    await closeQuietly(session);
    throw error;
  }
}

async function closeQuietly(session: LogSession): Promise<void> {
  try {
    await session.close();
  } catch {
    // The error that is thrown says more.
  }
}
