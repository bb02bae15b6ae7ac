/**
 * The state of the cluster as a client knows it, as facts and as metrics.
 */

import type { HostReport } from "./members.ts";
import type { ClusterToken } from "./token.ts";

/** A partition as its hosts tell of it. */
export interface PartitionStatus {
  /** Its number. */
  readonly partition: number;
  /** Hosts that answer for it. */
  readonly ready: readonly string[];
  /** Hosts that catch up, or refuse since something is damaged. */
  readonly others: readonly string[];
  /** The newest record that one of them has. */
  readonly sequence: number;
  /** Whether a host that answers has every record that this client has had acknowledged. */
  readonly isCurrent: boolean;
  /** Live keys, as the host with the newest record tells. */
  readonly keys: number;
  /** Bytes of rows and states on that host. */
  readonly bytes: number;
}

/** The state of the cluster as a client knows it. */
export interface ClusterStatus {
  /** The name that the cluster got when it was made. */
  readonly cluster: string;
  /** The log. */
  readonly log: string;
  /** Hosts whose heartbeat is not older than three seconds. */
  readonly hosts: readonly string[];
  /** Partitions by number. */
  readonly partitions: readonly PartitionStatus[];
  /** Bytes of edits that wait for the log. */
  readonly unackedBytes: number;
  /** Batches that the log has acknowledged, and the edits in them. */
  readonly edits: number;
  /** Calls that were answered. */
  readonly reads: number;
  /**
   * Requests that were sent to hosts, those that were sent twice since the first was late, and those that
   * failed.
   */
  readonly requests: number;
  /** Requests beside the first one, since it was late. */
  readonly hedges: number;
  /** Requests that failed. */
  readonly failures: number;
  /** Milliseconds of the last 1,024 reads, sorted. */
  readonly readMs: Float64Array<ArrayBuffer>;
}

/** The partitions as hosts tell of them, where a client needs the records of `known`. */
export function partitionStatuses(
  count: number,
  alive: readonly HostReport[],
  known: ClusterToken,
): PartitionStatus[] {
  return Array.from({ length: count }, (_, partition): PartitionStatus => {
    const told = alive.flatMap(({ name, partitions }) => {
      const report = partitions.get(partition);
      return report ? [{ name, ...report }] : [];
    });
    const newest = told.reduce<typeof told[number] | null>(
      (best, one) => best === null || one.sequence > best.sequence ? one : best,
      null,
    );
    const needed = known.partitions[partition] ?? 0;
    return {
      partition,
      ready: told.filter(({ phase }) => phase === "ready").map(({ name }) => name),
      others: told.filter(({ phase }) => phase !== "ready").map(({ name }) => name),
      sequence: newest?.sequence ?? 0,
      isCurrent: told.some(({ phase, sequence }) => phase === "ready" && sequence >= needed),
      keys: newest?.keys ?? 0,
      bytes: newest?.bytes ?? 0,
    };
  });
}

/** The number below which a share of sorted numbers lies; 0 without any. */
export function quantile(sorted: Float64Array, share: number): number {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** The facts as metrics in Prometheus' text form. */
export function metricsText(status: ClusterStatus): string {
  const lines: string[] = [];
  const metric = (
    name: string,
    kind: "counter" | "gauge",
    help: string,
    values: readonly (readonly [string, number])[],
  ) => {
    lines.push(`# HELP attune_${name} ${help}`, `# TYPE attune_${name} ${kind}`);
    for (const [labels, value] of values) lines.push(`attune_${name}${labels} ${value}`);
  };
  const each = (pick: (partition: PartitionStatus) => number) =>
    status.partitions.map((one) => [`{partition="${one.partition}"}`, pick(one)] as const);
  metric("hosts", "gauge", "Hosts that are alive.", [["", status.hosts.length]]);
  metric(
    "partition_ready_replicas",
    "gauge",
    "Hosts that answer for a partition.",
    each(({ ready }) => ready.length),
  );
  metric(
    "partition_sequence",
    "gauge",
    "The newest record that a host has.",
    each(({ sequence }) => sequence),
  );
  metric("partition_keys", "gauge", "Live keys.", each(({ keys }) => keys));
  metric("partition_bytes", "gauge", "Bytes of rows and states.", each(({ bytes }) => bytes));
  metric(
    "partition_current",
    "gauge",
    "Whether a host has all that was acknowledged.",
    each(({ isCurrent }) => isCurrent ? 1 : 0),
  );
  metric("unacked_bytes", "gauge", "Bytes of edits that wait for the log.", [["", status.unackedBytes]]);
  metric("edits_total", "counter", "Edits that were acknowledged.", [["", status.edits]]);
  metric("reads_total", "counter", "Calls that were answered.", [["", status.reads]]);
  metric("requests_total", "counter", "Requests to hosts.", [["", status.requests]]);
  metric("hedges_total", "counter", "Requests beside a late one.", [["", status.hedges]]);
  metric("failures_total", "counter", "Requests that failed.", [["", status.failures]]);
  metric("read_milliseconds", "gauge", "Milliseconds of the last reads.", [
    [`{quantile="0.5"}`, quantile(status.readMs, 0.5)],
    [`{quantile="0.99"}`, quantile(status.readMs, 0.99)],
  ]);
  return lines.join("\n") + "\n";
}
