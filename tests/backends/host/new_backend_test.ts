// The smallest store of states, as docs/internals/design.md shows it: an engine over it answers what the oracle does.

import type { DynamicAttention } from "../../../mod.ts";
import { referenceAttention } from "../../../src/numerics/reference.ts";
import type { BackendConfig, Costs } from "../../../src/backends/backend.ts";
import { HostBackend } from "../../../src/backends/host/host_backend.ts";
import { HOST_TIMES, StateStore } from "../../../src/backends/host/state_store.ts";
import { createEngine } from "../../../src/engine/create_engine.ts";
import { assert, assertEquals, assertStringIncludes } from "../../../testing/assert.ts";
import { as } from "../../../testing/bad_calls.ts";
import { Random } from "../../../testing/random.ts";

// begin
/** A store without states: the host computes each head row from its keys when it is asked for. */
class StatelessStore extends StateStore {
  readonly name = "stateless";
  readonly limits = null;
  readonly tolerance: number;
  readonly costs: Costs = {
    ...{ exponential: 15, compensatedAdd: 1.6, rowsTogether: 1 },
    times: { ...HOST_TIMES, look: 10_000, multiplyAdd: 1.5, updated: 0, answered: 5, noted: 100, begun: 500 },
  };

  constructor({ layout, tolerance }: BackendConfig) {
    super(layout.valueDim + 2);
    this.tolerance = tolerance;
  }

  attach(): void {}
  reserve(): void {}
  change(): void {}
  bytes = () => 0;
  bytesOf = () => 0;
  update = () => null;
  held = () => null;
  save = () => Promise.resolve({});
  restore = () => Promise.resolve(false);
}

/** Makes an empty backend. */
function createStatelessBackend(config: BackendConfig): HostBackend {
  return new HostBackend(config, new StatelessStore(config));
}
// end

/** The lines between the marks of this file. */
async function shownLines(): Promise<string> {
  const text = await Deno.readTextFile(new URL(import.meta.url));
  return text.slice(text.indexOf("// begin\n") + "// begin\n".length, text.indexOf("\n// end\n"));
}

Deno.test("a new backend: the page shows the smallest store, in some thirty lines", async () => {
  const page = await Deno.readTextFile(new URL("../../../docs/internals/design.md", import.meta.url));
  const lines = await shownLines();
  assertStringIncludes(page, lines);
  assert(lines.split("\n").length <= 36);
});

Deno.test("a new backend: an engine over the smallest store is exact, and its stale answers lie within their bounds", async () => {
  const random = new Random(9),
    query = random.rows(5, 6),
    key = random.rows(12, 6),
    value = random.rows(12, 4);
  const layout = { heads: 2, kvHeads: 2, headDim: 3, valueDim: 2 };
  const rule = { scale: 0.5, softcap: 0, before: Infinity, after: Infinity };
  const config: BackendConfig = { layout, rule, maskHeads: 0, tolerance: 1e-8 };
  await using live: DynamicAttention = await createEngine(
    as({ query, key, value, heads: 2, scale: 0.5, backend: "array", lazyThreshold: Infinity }),
    { wrap: () => createStatelessBackend(config) },
  ) as unknown as DynamicAttention;
  for (let edit = 0; edit < 40; edit++) {
    const slot = random.below(12);
    live.set(slot, key[slot] = random.row(6), value[slot] = random.row(4));
    if (edit % 3 === 0) live.setQuery(edit % 5, query[edit % 5] = random.row(6));
    const { output } = referenceAttention({ query, key, value, heads: 2, scale: 0.5, valueDim: 2 });
    const { output: stale, bounds } = await live.peek();
    const { data } = edit % 4 === 0 ? await live.read() : stale;
    for (const [i, row] of output.entries()) {
      const distance = Math.hypot(...row.map((o, c) => o - data[4 * i + c]));
      assert(
        distance <= (edit % 4 === 0 ? 1e-6 : bounds[i]),
        `edit ${edit}, row ${i}: ${distance}, ${bounds[i]}`,
      );
    }
  }
  assertEquals((await live.topKeys(0, 3)).length, 3);
});
