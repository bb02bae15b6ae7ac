// The subjects of the benchmark: every backend that runs here and every peer, on one thread and on all.

import { findAdapter } from "../src/backends/webgpu/adapter.ts";
import type { BackendName } from "../mod.ts";
import { PEERS } from "./peers/roster.ts";
import type { SubjectKey } from "./subjects/subject.ts";

/** Backends that compute on more than one thread. */
const THREADED_BACKENDS: ReadonlySet<string> = new Set(["wasm"]);

/** A subject to try, and why it is not tried with all threads. */
export interface Candidate {
  readonly key: SubjectKey;
  /** The package whose version counts. */
  readonly library: string | null;
  /** Why this one cannot be; null where it can. */
  readonly missing: string | null;
}

/** Backends that run here; one whose device is refused says so when it is tried. */
export async function backendsHere(): Promise<BackendName[]> {
  return await findAdapter() ? ["array", "wasm", "webgpu"] : ["array", "wasm"];
}

/** Backends and peers, each with one thread and with `threads`. */
export function candidates(threads: number, backends: readonly BackendName[]): Candidate[] {
  const counts = threads > 1 ? [1, threads] : [1];
  const engines = backends.flatMap((backend) =>
    counts.filter((count) => count === 1 || THREADED_BACKENDS.has(backend)).map((count): Candidate => ({
      key: { kind: "attune", backend, threads: count },
      library: null,
      missing: null,
    }))
  );
  const peers = PEERS.flatMap(({ name, library, singleThreaded }) =>
    counts.map((count): Candidate => ({
      key: { kind: "peer", form: name, threads: count },
      library,
      missing: count === 1 ? null : singleThreaded,
    }))
  );
  return [...engines, ...peers];
}

/** The pinned version of a package. */
export async function versionOf(library: string): Promise<string> {
  const { imports }: { imports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("peers/deno.json", import.meta.url)),
  );
  return imports[library].slice(imports[library].lastIndexOf("@") + 1);
}
