// The library itself on one backend.

import { type BackendName, DynamicAttention } from "../../mod.ts";
import { isBackendName } from "../../src/backends/select.ts";
import { RowStream } from "../data.ts";
import { time, type TimeLimits, type Timing } from "../stopwatch.ts";
import { rowCount, type Shape, type Workload } from "../workload.ts";
import { EditedEngine, engineOptions, type EnginePolicy } from "./edited_engine.ts";
import { measureMemory, type MemoryUse, type Outcome, type Subject } from "./subject.ts";

/** The default threshold: pending edits are applied at 64. */
const DEFAULTS: EnginePolicy = {};
const THRESHOLD = 64;
/** For batches that are to be seen whole. */
const WHOLE_BATCHES: EnginePolicy = { lazyThreshold: Infinity, onThreshold: "auto" };
const PATCHES: EnginePolicy = { lazyThreshold: Infinity, onThreshold: "patch" };

export class AttuneSubject implements Subject {
  readonly #backend: BackendName;
  /** Engines of the shape that was last asked about: making one costs as much as a rebuild. */
  readonly #engines = new Map<EnginePolicy, EditedEngine>();
  #shape: Shape | null = null;

  constructor(backend: string) {
    if (!isBackendName(backend)) throw new Error(`there is no backend ${JSON.stringify(backend)}`);
    this.#backend = backend;
  }

  async measure(shape: Shape, workload: Workload, limits: TimeLimits): Promise<Outcome> {
    const engine = await this.#engineFor(shape, policyOf(workload));
    const timing = await timeWorkload(engine, shape, workload, limits);
    return { timing, error: await engine.check() };
  }

  async memory(shape: Shape): Promise<MemoryUse> {
    let live: DynamicAttention | null = null;
    const use = await measureMemory(async () => {
      live = await DynamicAttention.create({ ...engineOptions(shape), backend: this.#backend });
      await live.read();
    });
    await (live as DynamicAttention | null)?.dispose();
    return use;
  }

  async #engineFor(shape: Shape, policy: EnginePolicy): Promise<EditedEngine> {
    if (this.#shape?.keyCount !== shape.keyCount || this.#shape.queryCount !== shape.queryCount) {
      for (const engine of this.#engines.values()) await engine.dispose();
      this.#engines.clear();
      this.#shape = shape;
    }
    const known = this.#engines.get(policy);
    if (known) return known;
    const made = await EditedEngine.create(shape, this.#backend, policy);
    this.#engines.set(policy, made);
    return made;
  }
}

function policyOf(workload: Workload): EnginePolicy {
  if (workload.kind === "rebuild") return DEFAULTS;
  if (workload.kind === "patch") return PATCHES;
  return workload.edits > THRESHOLD ? WHOLE_BATCHES : DEFAULTS;
}

function timeWorkload(
  engine: EditedEngine,
  shape: Shape,
  workload: Workload,
  limits: TimeLimits,
): Promise<Timing> {
  const { live } = engine;
  switch (workload.kind) {
    case "rebuild":
      // With the read, since what a peer computes is in the caller's hands too.
      return time(async () => {
        await live.rebuild();
        await live.read();
      }, limits);
    case "patch":
      return time(async () => {
        for (let count = 0; count < workload.changes; count++) engine.edit("key");
        await live.flush();
      }, limits);
    case "answer": {
      const { edit, edits, rows } = workload;
      const stream = rows === "all" ? null : new RowStream(shape.queryCount, rowCount(shape, rows), rows);
      // A whole cycle at once: pending edits make reads dearer until the threshold applies them.
      const together = Math.max(1, Math.round(THRESHOLD / edits));
      return time(async () => {
        for (let count = 0; count < edits; count++) engine.edit(edit);
        await live.read(stream?.next());
      }, { ...limits, together });
    }
  }
}
