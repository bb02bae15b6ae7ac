/**
 * The partitions that a host holds.
 *
 * Invariant: a partition that the plan gives to others is held until all of them answer for it.
 */

import { Changes } from "./changes.ts";
import type { HostedPartition } from "./host_status.ts";
import type { Members } from "./members.ts";
import type { Partition } from "./partition.ts";
import type { Plan } from "./plan.ts";
import type { Replica } from "./replica.ts";

/** A partition on a host. */
interface Held {
  readonly replica: Replica<Partition>;
  readonly end: AbortController;
  readonly done: Promise<unknown>;
}

/** The plan, and which part of it a host holds. */
export interface Wanted {
  /** The host's name. */
  readonly name: string;
  /** "any" for those that the plan gives it, or the numbers that its caller named. */
  readonly partitions: "any" | readonly number[];
  readonly plan: Plan;
  /** Whether the host takes nothing more. */
  readonly isLeaving: boolean;
}

/** Replicas by number of their partition. */
export class HeldPartitions {
  /** Told when a partition is taken or given up, or its phase has changed. */
  readonly changes = new Changes();
  readonly #make: (partition: number) => Replica<Partition>;
  readonly #held = new Map<number, Held>();

  /** @param make Makes the replica of a partition, which is then run. */
  constructor(make: (partition: number) => Replica<Partition>) {
    this.#make = make;
  }

  /** How many there are. */
  get size(): number {
    return this.#held.size;
  }

  /** Numbers and replicas, in no particular order. */
  get all(): readonly (readonly [number, Replica<Partition>])[] {
    return Array.from(this.#held, ([partition, { replica }]) => [partition, replica]);
  }

  /** All replicas. */
  get replicas(): readonly Replica<Partition>[] {
    return Array.from(this.#held.values(), ({ replica }) => replica);
  }

  /** The replica of a partition. */
  get(partition: number): Replica<Partition> | undefined {
    return this.#held.get(partition)?.replica;
  }

  /** Partitions with their phases, as text that changes with them. */
  get phases(): string {
    return this.all.map(([partition, { phase }]) => `${partition} ${phase}`).join();
  }

  /** Partitions for `status()`, by number. */
  status(): HostedPartition[] {
    return [...this.all].sort(([a], [b]) => a - b).map(([partition, replica]) => {
      const { phase, sequence, keys, bytes } = replica.report;
      return { partition, phase, failure: replica.failure, sequence, keys, bytes };
    });
  }

  /** Begins to hold what the plan gives the host, and ends what others answer for. */
  follow({ name, partitions, plan: { owners }, isLeaving }: Wanted, members: Members): void {
    owners.forEach((names, partition) => {
      const held = this.#held.get(partition);
      const isWanted = partitions === "any" ? names.includes(name) : partitions.includes(partition);
      if (isWanted && !held && !isLeaving) this.#begin(partition);
      if (!held || isWanted || partitions !== "any" || names.length === 0) return;
      const isTaken = names.every((one) => members.get(one)?.partitions.get(partition)?.phase === "ready");
      if (isTaken) this.#finish(partition, held);
    });
  }

  /** Ends all of them. */
  async end(): Promise<void> {
    this.changes.close();
    for (const { end } of this.#held.values()) end.abort();
    await Promise.allSettled(Array.from(this.#held.values(), ({ done }) => done));
  }

  #begin(partition: number): void {
    const end = new AbortController(), replica = this.#make(partition);
    const done = Promise.all([replica.run(end.signal), this.#tellPhases(replica, end.signal)]);
    this.#held.set(partition, { replica, end, done });
    this.changes.tell();
  }

  #finish(partition: number, { end }: Held): void {
    end.abort();
    this.#held.delete(partition);
    this.changes.tell();
  }

  async #tellPhases(replica: Replica<Partition>, signal: AbortSignal): Promise<void> {
    for (let phase = replica.phase; !signal.aborted;) {
      await replica.changes.next(signal);
      if (replica.phase === phase) continue;
      phase = replica.phase;
      this.changes.tell();
    }
  }
}
