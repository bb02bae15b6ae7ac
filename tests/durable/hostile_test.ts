// Limit: 20 minutes.
//
// Hostile metadata, ids, masks and rows, shifts and all other edits, on a disk that fails at any call: whatever is thrown, what
// was acknowledged is there when the folder is opened again, and all of it is what a plain engine holds after the same calls. In
// between the folder is made small, copied, and gone on with as its copy. ATTUNE_LONG=1 tries many more seeds.

import { AttentionError, DynamicAttention, type DynamicAttentionOptions, type RowId } from "../../mod.ts";
import { main } from "../../src/durable/cli.ts";
import { HeadFile } from "../../src/durable/head_file.ts";
import { JournalDatabase } from "../../src/durable/journal_database.ts";
import { DurabilityError, type DurableAttention, openDurable } from "../../src/durable/mod.ts";
import { assert, assertEquals, assertGreater } from "../../testing/assert.ts";
import { contentOf } from "../../testing/durable/engine_content.ts";
import { Random } from "../../testing/random.ts";
import { IS_LONG } from "../../testing/requirements.ts";

const CLIENT = "\ufefffuzz \u0000 née";
const TEXTS = [
  ...[
    "",
    "0",
    "__proto__",
    "constructor",
    "toJSON",
    "\ud800",
    "\udfff x",
    "\ufeff",
    "\0",
    '"',
    "\\",
    "\u2028",
  ],
  ...["0".repeat(64), '"sha256":"', `\\"sha256":"${"0".repeat(64)}"`, "client a", "key 7", "learner", "😀"],
];
/**
 * Names of fields. V8 15.0 takes a name of one escaped letter for a backslash, where JSON.parse has seen an object with that name in
 * its place before, whoever reads it.
 */
const NAMES = TEXTS.filter((text) => text !== "\\");
const NUMBERS = [0, -0, 1, -1, 0.1, 2 ** 32 - 1, 2 ** 32, 2 ** 53, -(2 ** 53), 1e308, 5e-324];
const BIASES = [0, -0, 1, -2.5, -Infinity, 1e-40, 3, true, false];

type Engine = DynamicAttention<RowId, RowId> | DurableAttention<RowId, RowId>;
type Call = (live: Engine) => unknown;

function anyJson(random: Random, depth = 0): never {
  const kind = random.below(depth > 4 ? 4 : 6);
  const json = kind < 2
    ? random.pick(TEXTS)
    : kind === 2
    ? random.pick(NUMBERS)
    : kind === 3
    ? random.pick([null, true, false, "x".repeat(random.below(40_000))])
    : kind === 4
    ? Array.from({ length: random.below(4) }, () => anyJson(random, depth + 1))
    : Object.fromEntries(
      Array.from({ length: random.below(5) }, () => [random.pick(NAMES), anyJson(random, depth + 1)]),
    );
  return json as never;
}

let newIds = 0;

function anyId(random: Random): RowId {
  const kind = random.below(5);
  if (kind === 0) return random.pick(TEXTS) + (random.below(2) === 0 ? "" : String(newIds++));
  if (kind === 1) return random.pick(NUMBERS);
  if (kind === 2) return random.pick([0n, -1n, 2n ** 64n, -(2n ** 90n), BigInt(newIds++)]);
  return kind === 3 ? newIds++ / 4 : `id ${newIds++}`;
}

function row(random: Random, width: number): Float32Array {
  return random.row(width).map((number) =>
    random.below(6) === 0 ? random.pick([-0, 0, 1e-42, -1e-45]) : number
  );
}

/** An entry of a mask for each pair of names, always the same. */
function biasOf(i: RowId, j: RowId, head: number): number | boolean {
  const text = `${typeof i} ${String(i)} ${typeof j} ${String(j)} ${head}`;
  let mix = 7;
  for (let at = 0; at < text.length; at++) mix = Math.imul(mix, 31) + text.charCodeAt(at) >>> 0;
  return mix % 4 === 0 ? BIASES[mix % BIASES.length] : mix % 7 / 4;
}

/** What an engine is made of. */
function anyOptions(random: Random, isBroken: () => boolean): DynamicAttentionOptions<RowId, RowId> {
  const queries = 1 + random.below(3), keys = 1 + random.below(5), kind = random.below(3);
  const unique = (count: number) => {
    const ids = new Map<RowId, RowId>();
    while (ids.size < count) {
      const id = anyId(random);
      ids.set(id, id);
    }
    return [...ids.values()];
  };
  const ids = (count: number) => random.pick([undefined, "auto" as const, unique(count)]);
  const keyIds = ids(keys), queryIds = ids(queries), heads = 1 + random.below(2), size = [24, 48] as const;
  return {
    heads,
    query: Array.from({ length: queries }, () => row(random, heads * 2)),
    key: Array.from({ length: keys }, () => row(random, heads * 2)),
    value: Array.from({ length: keys }, () => row(random, heads)),
    ...(keyIds ? { keyIds } : {}),
    ...(queryIds ? { queryIds } : {}),
    ...(random.below(2) === 0 ? { causal: { offset: 3 } } : {}),
    ...(kind === 1
      ? {
        mask: (i: RowId, j: RowId, head: number) => {
          if (isBroken()) throw new Error("out of order");
          return biasOf(i, j, head);
        },
      }
      : {}),
    ...(kind === 2 ? { mask: { data: random.row(size[0] * size[1]), shape: size }, editableMask: true } : {}),
    backend: "array",
    lazyThreshold: 4,
  };
}

/** A call that an engine with these rows takes, or refuses. */
function anyCall(random: Random, shadow: Engine, options: DynamicAttentionOptions<RowId, RowId>): Call {
  const heads = options.heads ?? 1,
    d = 2 * heads,
    dv = heads,
    keyIds = shadow.keyIds(),
    queryIds = shadow.queryIds();
  const key = keyIds.length > 0 ? random.pick(keyIds) : 0,
    query = queryIds.length > 0 ? random.pick(queryIds) : 0;
  const [a, b, q] = [row(random, d), row(random, dv), row(random, d)];
  const position = random.pick([0, 1, 2.5, -3, 7]), place = random.below(3) === 0 ? { position } : {};
  const isNamed = Array.isArray(options.keyIds), isNamedQuery = Array.isArray(options.queryIds);
  const isSmall = keyIds.length < 40, isSmallQuery = queryIds.length < 20, id = anyId(random);
  const json = anyJson(random), column = random.below(d), delta = random.normal();
  const calls: Call[] = [
    (live) => live.setKey(key, a),
    (live) => live.set(key, a, b),
    (live) => live.addToKey(key, column, delta),
    (live) => live.addToValue(key, 0, delta),
    (live) => isSmall && live.insert(a, b, { ...place, ...(isNamed ? { id } : {}) }),
    (live) => isSmall && live.upsert(isNamed ? id : key, a, b, place),
    (live) => keyIds.length > 1 && live.delete(key),
    (live) => live.setQuery(query, q),
    (live) => isSmallQuery && live.insertQuery(q, isNamedQuery ? { id } : {}),
    (live) => live.upsertQuery(query, q, place),
    (live) => queryIds.length > 1 && live.deleteQuery(query),
    (live) => live.setPosition(key, position),
    (live) => live.setQueryPosition(query, position),
    (live) => live.shiftPositions(position - 2, random.pick([{}, { from: 1 }, { from: 0, to: 3 }])),
    (live) => live.save({ metadata: json }).catch(() => {}),
    (live) =>
      options.editableMask && live.setMask([[-0, -Infinity]], { queries: [query], keys: [key, keyIds[0]] }),
    (live) => options.editableMask && live.setMask(delta, { queries: [query] }),
  ];
  // Chosen once, so that it is the same whoever is called.
  const range = random.pick([{}, { from: 1 }, { from: 0, to: 3 }]);
  calls[13] = (live) => live.shiftPositions(position - 2, range);
  return random.pick(calls);
}

/** Where a disk fails: a method of a class, before or behind what it does. */
interface Site {
  readonly name: string;
  readonly target: object;
  readonly method: string;
}

const SITES: readonly Site[] = [
  ...["addRecord", "transact", "addPointer", "removePointersBefore", "removeRecords", "checkpoint"].map(
    (method) => {
      return { name: `journal.${method}`, target: JournalDatabase.prototype, method };
    },
  ),
  ...["write", "sync"].map((method) => ({ name: `HEAD.${method}`, target: HeadFile.prototype, method })),
  ...["write", "sync", "seek", "writeSync"].map((method) => {
    return { name: `file.${method}`, target: Deno.FsFile.prototype, method };
  }),
  ...["rename", "remove"].map((method) => ({ name: `Deno.${method}`, target: Deno, method })),
];

/** Fails a site at its nth call from now on, and at every later one where `isForGood`; returns how to end that. */
function failAt(
  { name, target, method }: Site,
  call: number,
  isBehind: boolean,
  isForGood: boolean,
): () => number {
  const methods = target as Record<string, (...args: unknown[]) => unknown>, original = methods[method];
  let calls = 0, failed = 0;
  methods[method] = function (this: unknown, ...args: unknown[]) {
    const isNow = ++calls === call || (isForGood && calls > call);
    if (!isNow) return original.apply(this, args);
    failed++;
    if (isBehind) original.apply(this, args);
    throw Object.assign(new Error(`Input/output error (os error 5) in ${name}`), { code: "EIO" });
  };
  return () => {
    methods[method] = original;
    return failed;
  };
}

/** One memory through openings, failures, compactions and copies. */
class Trial {
  readonly random: Random;
  readonly options: DynamicAttentionOptions<RowId, RowId>;
  readonly calls: Call[] = [];
  isBroken = false;
  acknowledged = 0;
  failures = 0;

  constructor(seed: number) {
    newIds = 0;
    this.random = new Random(seed);
    this.options = anyOptions(this.random, () => this.isBroken);
  }

  /** A plain engine after the first calls. */
  async plain(count: number): Promise<DynamicAttention<RowId, RowId>> {
    const wasBroken = this.isBroken;
    this.isBroken = false;
    const live = await DynamicAttention.create<RowId, RowId>(this.options);
    for (const call of this.calls.slice(0, count)) await call(live);
    this.isBroken = wasBroken;
    return live;
  }

  /** Opens the folder, compares it, and goes on until something fails or enough was done. */
  async open(folder: string): Promise<void> {
    const { random } = this;
    this.isBroken = false;
    const snapshot = { journalBytes: random.pick([200, 2000, Infinity]) };
    const live = await openDurable<RowId, RowId>(folder, { create: this.options, client: CLIENT, snapshot });
    const counted = live.lastClientSequence();
    assert(
      counted >= this.acknowledged && counted <= this.calls.length,
      `${counted} of ${this.acknowledged}`,
    );
    this.calls.length = this.acknowledged = counted;
    const shadow = await this.plain(counted);
    assertEquals(await contentOf(live), await contentOf(shadow));
    assertEquals((await live.verify({ deep: true })).problems, []);
    const stop = random.below(3) === 0 ? () => 0 : failAt(
      random.pick(SITES),
      1 + random.below(random.pick([3, 12])),
      random.below(2) === 0,
      random.below(2) === 0,
    );
    try {
      await this.#goOn(live, shadow, 5 + random.below(30));
    } finally {
      // A folder is also closed while its disk fails.
      if (random.below(2) === 0) this.failures += stop();
      await live.dispose().catch((error: unknown) => assert(error instanceof DurabilityError, `${error}`));
      this.failures += stop();
      await shadow.dispose();
    }
  }

  async #goOn(live: DurableAttention<RowId, RowId>, shadow: Engine, count: number): Promise<void> {
    const { random } = this, waiting: Promise<unknown>[] = [];
    const wait = (promise: Promise<unknown>) => {
      // What becomes of it is looked at below.
      promise.catch(() => {});
      waiting.push(promise);
    };
    for (let at = 0; at < count; at++) {
      if (random.below(12) === 0) this.isBroken = true;
      if (random.below(9) === 0) wait(live.snapshot());
      const call = anyCall(random, shadow, this.options);
      if (!this.#perform(call, live, shadow)) break;
      const number = this.calls.length;
      const kept = live.edit([], { clientSequence: number }).then(() => {
        this.acknowledged = Math.max(this.acknowledged, number);
      });
      wait(kept);
      if (random.below(3) === 0) await kept.catch(() => {});
      if (random.below(6) === 0) wait(live.read());
    }
    for (
      const { reason } of (await Promise.allSettled(waiting)).filter((result) => result.status === "rejected")
    ) {
      assert(
        reason instanceof DurabilityError || (this.isBroken && reason instanceof AttentionError),
        `${reason}`,
      );
    }
  }

  /** Calls both engines, which take it or refuse it alike; false where the durable one has stopped. */
  #perform(call: Call, live: DurableAttention<RowId, RowId>, shadow: Engine): boolean {
    const attempt = (engine: Engine): unknown => {
      try {
        call(engine);
        return null;
      } catch (error) {
        return error;
      }
    };
    const failure = attempt(live);
    if (failure instanceof DurabilityError) return false;
    const wasBroken = this.isBroken;
    this.isBroken = false;
    const expected = attempt(shadow);
    this.isBroken = wasBroken;
    assertEquals(
      (failure as Error | null)?.name,
      (expected as Error | null)?.name,
      `${failure}, ${expected}`,
    );
    this.calls.push(failure === null ? call : () => {});
    return true;
  }
}

Deno.test("hostile input on a disk that fails: nothing is lost, nothing is twice, all is what a plain engine holds", async () => {
  const log = console.log, seeds = IS_LONG ? 120 : 12;
  let calls = 0, failures = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const base = await Deno.makeTempDir(), trial = new Trial(seed);
    let folder = `${base}/memory`, copies = 0;
    try {
      for (let opening = 0; opening < 6; opening++) {
        await trial.open(folder);
        trial.isBroken = false;
        console.log = () => {};
        if (trial.random.below(4) === 0) {
          const copy = `${base}/copy${copies++}`;
          assertEquals(await main(["backup", folder, copy, "--json"]), 0);
          folder = copy;
        }
        // It is refused where the mask function has not answered.
        if (trial.random.below(3) === 0) await main(["compact", folder, "--json"]);
        console.log = log;
      }
      await trial.open(folder);
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause });
    } finally {
      console.log = log;
      await Deno.remove(base, { recursive: true });
    }
    calls += trial.calls.length;
    failures += trial.failures;
  }
  assertGreater(failures, seeds / 2);
  console.log(`  ${seeds} seeds, ${calls} calls, ${failures} calls of the disk failed`);
});
