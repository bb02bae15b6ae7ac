/**
 * The types of what a host says of itself.
 */

/** The facts that a host gives of itself. */
export interface HostStatus {
  /** Its name. */
  readonly name: string;
  /** The log that it follows. */
  readonly log: string;
  /** The name of the cluster; null until one was made in the log. */
  readonly cluster: string | null;
  /** Its partitions, by number. */
  readonly partitions: readonly HostedPartition[];
  /** Standing queries. */
  readonly queries: number;
  /** Snapshots that it has written to the log. */
  readonly snapshots: number;
  /** The message of the log's last failure; "" once it answers again. */
  readonly failure: string;
}

/** A partition on a host. */
export interface HostedPartition {
  /** Its number. */
  readonly partition: number;
  /** Whether it catches up, answers, or refuses to since something is damaged. */
  readonly phase: "loading" | "ready" | "damaged";
  /** Why it refuses; "" while it does not. */
  readonly failure: string;
  /** The newest record that it has. */
  readonly sequence: number;
  /** Live keys. */
  readonly keys: number;
  /** Bytes of rows and states. */
  readonly bytes: number;
}
