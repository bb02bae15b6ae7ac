// What a disk may hold after a power failure: what was synced for certain, and of the rest any part.

import type { Random } from "../random.ts";
import type { DiskEvent } from "./strace_log.ts";

/**
 * What became of what was not synced: all of it is there, nothing, a random part of the writes, or all but the end of the last
 * write of each file.
 */
export type Loss = "none" | "all" | "random" | "torn";

export const LOSSES: readonly Loss[] = ["none", "all", "random", "torn"];

/** The files of a folder by name. */
export type DiskImage = ReadonlyMap<string, Uint8Array>;

type FileEvent = Extract<DiskEvent, { kind: "write" | "truncate" }>;
type NameEvent = Extract<DiskEvent, { kind: "create" | "unlink" | "rename" }>;

const SECTOR = 512;

/** A disk to which things are done. */
export class SimulatedDisk {
  /** Contents that are synced. */
  readonly #synced = new Map<number, Uint8Array>();
  readonly #pending = new Map<number, FileEvent[]>();
  /** Names that are synced. */
  #names = new Map<string, number>();
  #pendingNames: NameEvent[] = [];

  /** What of it matters to the disk. */
  do(event: DiskEvent): void {
    switch (event.kind) {
      case "create":
        this.#synced.set(event.file, new Uint8Array(0));
        this.#pendingNames.push(event);
        break;
      case "unlink":
      case "rename":
        this.#pendingNames.push(event);
        break;
      case "write":
      case "truncate":
        this.#pendingOf(event.file).push(event);
        break;
      case "sync":
        this.#synced.set(event.file, this.#contentOf(event.file, this.#pendingOf(event.file)));
        this.#pending.delete(event.file);
        break;
      case "syncFolder":
        this.#names = named(this.#names, this.#pendingNames);
        this.#pendingNames = [];
        break;
    }
  }

  /** What the disk may hold if the power fails now. */
  image(loss: Loss, random: Random): DiskImage {
    const pendingNames = this.#pendingNames;
    const survived = loss === "all"
      ? 0
      : loss === "random"
      ? random.below(pendingNames.length + 1)
      : pendingNames.length;
    const names = named(this.#names, pendingNames.slice(0, survived));
    const image = new Map<string, Uint8Array>();
    for (const [name, file] of names) {
      const pending = this.#pendingOf(file);
      const part = loss === "all"
        ? []
        : loss === "random"
        ? pending.filter(() => random.below(2) === 0)
        : loss === "torn"
        ? torn(pending, random)
        : pending;
      image.set(name, this.#contentOf(file, part));
    }
    return image;
  }

  #pendingOf(file: number): FileEvent[] {
    let pending = this.#pending.get(file);
    if (!pending) this.#pending.set(file, pending = []);
    return pending;
  }

  #contentOf(file: number, events: readonly FileEvent[]): Uint8Array {
    let content = (this.#synced.get(file) as Uint8Array).slice();
    for (const event of events) {
      const length = event.kind === "truncate"
        ? event.length
        : Math.max(content.length, event.offset + event.bytes.length);
      if (length !== content.length) {
        const resized = new Uint8Array(length);
        resized.set(content.subarray(0, length));
        content = resized;
      }
      if (event.kind === "write") content.set(event.bytes, event.offset);
    }
    return content;
  }
}

/** The last write ends early, at a sector. */
function torn(pending: readonly FileEvent[], random: Random): FileEvent[] {
  const last = pending.at(-1);
  if (last?.kind !== "write") return [...pending];
  const sectors = Math.ceil(last.bytes.length / SECTOR);
  const bytes = last.bytes.subarray(0, SECTOR * random.below(sectors));
  return [...pending.slice(0, -1), { ...last, bytes }];
}

function named(before: ReadonlyMap<string, number>, events: readonly NameEvent[]): Map<string, number> {
  const names = new Map(before);
  for (const event of events) {
    if (event.kind === "create") names.set(event.name, event.file);
    else if (event.kind === "unlink") names.delete(event.name);
    else {
      names.delete(event.from);
      names.set(event.to, event.file);
    }
  }
  return names;
}
