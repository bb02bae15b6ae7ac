// The interface of peers: other libraries that compute attention, each used in its fastest way.
//
// Peers are imported by names that no tool can read off the source, so that only a run of the benchmark
// installs them; each file says itself which part of its library it uses.

import type { Inputs } from "../data.ts";
import type { Shape } from "../workload.ts";

/** Attention over inputs that stay in place; a caller that writes to them calls `update`. */
export interface PreparedAttention {
  /** Takes over what has changed in an input; nothing to do where the peer reads the input itself. */
  update(changed: readonly (keyof Inputs)[]): void;
  /** softmax(q·k / √d) v, m × dv. */
  run(): Promise<ArrayLike<number>>;
  dispose(): Promise<void> | void;
}

/** A library that is loaded. */
export interface Peer {
  prepare(shape: Shape, inputs: Inputs): Promise<PreparedAttention>;
}

/** A way of asking a library. */
export interface PeerForm {
  readonly name: string;
  /** The package whose version is reported. */
  readonly library: string;
  /** Why it computes on one thread only; null where threads can be asked for. */
  readonly singleThreaded: string | null;
  load(threads: number): Promise<Peer>;
}

/** A module of a peer as the part of it that is used; CommonJS ones may hide behind `default`. */
export async function importPeer<Library extends object>(
  specifier: string,
  probe: keyof Library,
): Promise<Library> {
  const namespace: Library & { readonly default?: Library } = await import(specifier);
  return probe in namespace || namespace.default === undefined ? namespace : namespace.default;
}
