// The rooms of CONTRIBUTING.md are the truth: a module imports from its own room or from one further down, and no chain of
// imports leads back to where it began. The graph is that of the whole tree, as Deno resolves it, types included.

import { assert, assertEquals, assertLessOrEqual } from "../../testing/assert.ts";
import {
  type Arrow,
  arrowsBetween,
  floorsOf,
  listModules,
  readArrows,
  readRooms,
  type Room,
  roomOf,
} from "../../tools/tree/import_graph.ts";

const ROOT = new URL("../../", import.meta.url);

/** A chain of imports that ends where it began; null when there is none. What loads on demand closes no circle. */
function circleIn(arrows: readonly Arrow[]): string[] | null {
  const graph = new Map<string, Set<string>>();
  for (const { from, to, isDynamic } of arrows) {
    if (isDynamic) continue;
    graph.set(from, (graph.get(from) ?? new Set()).add(to));
  }
  const done = new Set<string>(), way: string[] = [];
  function visit(path: string): string[] | null {
    if (done.has(path)) return null;
    const at = way.indexOf(path);
    if (at !== -1) return [...way.slice(at), path];
    way.push(path);
    for (const target of graph.get(path) ?? []) {
      const circle = visit(target);
      if (circle) return circle;
    }
    way.pop();
    done.add(path);
    return null;
  }
  for (const path of graph.keys()) {
    const circle = visit(path);
    if (circle) return circle;
  }
  return null;
}

/** Packages that published modules may load, each pinned and on demand alone. */
const PACKAGE = /^npm:\/?(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+(\/|$)/;

/** What is wrong with one import; null when nothing is. */
function complaintOf({ from, to }: Arrow, rooms: readonly Room[]): string | null {
  const isPublished = from === "mod.ts" || from.startsWith("src/");
  if (to.startsWith("file:")) return `${from} imports ${to}, which is outside of the repository`;
  if (/^[a-z]+:/.test(to)) {
    const isAllowed = !isPublished ||
      (/^src\/(cluster|durable|kernel)\//.test(from) && to.startsWith("node:")) ||
      (/^src\/(cluster|jupyter|kernel|store)\//.test(from) && PACKAGE.test(to));
    return isAllowed ? null : `${from} imports ${to}, which is not of this repository`;
  }
  if (roomOf(to, rooms) < roomOf(from, rooms)) return `${from} imports ${to}, which is above it`;
  if (from.startsWith("src/kernel/") && !to.startsWith("src/kernel/")) {
    return `${from} imports ${to}, but the kernel stands apart`;
  }
  if (from === "src/numerics/reference.ts") return `${from} imports ${to}, but the oracle shares no code`;
  const place = /^src\/backends\/(array|wasm|webgpu)\//.exec(to)?.[0];
  const mayName = !isPublished || from === "src/backends/select.ts" || from.startsWith(place ?? "");
  return mayName ? null : `${from} names the implementation ${to}, which select.ts alone may`;
}

const rooms = await readRooms(ROOT);
const modules = await listModules(ROOT);
const arrows = await readArrows(ROOT, modules);

Deno.test("import graph: every module has a room, and every room a module", () => {
  assertEquals(modules.filter((path) => roomOf(path, rooms) === -1), []);
  const used = new Set(modules.map((path) => roomOf(path, rooms)));
  assertEquals(rooms.filter((_, at) => !used.has(at)).map(({ name }) => name), []);
});

Deno.test("import graph: imports point down, and never in a circle", () => {
  assertEquals(
    arrows.map((arrow) => complaintOf(arrow, rooms)).filter((complaint) => complaint !== null),
    [],
  );
  assertEquals(circleIn(arrows), null);
});

Deno.test("import graph: the library has few rooms and few arrows between them", () => {
  const inSource = new Set<number>();
  for (const path of modules) if (path.startsWith("src/")) inSource.add(roomOf(path, rooms));
  const between = arrowsBetween(arrows, rooms).filter((pair) => pair.every((room) => inSource.has(room)));
  const lines = [...inSource].sort((a, b) => a - b).map((room) => {
    const targets = between.filter(([from]) => from === room).map(([, to]) => rooms[to].claims[0]);
    return `  ${rooms[room].name}: ${targets.join(" ")}`;
  });
  console.log(`  ${inSource.size} rooms, ${between.length} arrows between them\n${lines.join("\n")}`);
  assertLessOrEqual(inSource.size, 16);
  assertLessOrEqual(between.length, 60);
});

Deno.test("import graph: every kind of fault is found", () => {
  const found = (from: string, to: string) =>
    complaintOf({ from, to, isDynamic: false, isType: false }, rooms);
  assertEquals(found("src/write/layers.ts", "src/backends/backend.ts"), null);
  assertEquals(found("src/write/layers.ts", "src/write/edit_log.ts"), null);
  assertEquals(
    found("src/write/layers.ts", "src/engine/options.ts"),
    "src/write/layers.ts imports src/engine/options.ts, which is above it",
  );
  assertEquals(
    found("testing/random.ts", "tests/x_test.ts"),
    "testing/random.ts imports tests/x_test.ts, which is above it",
  );
  assertEquals(
    found("src/schedule/planner.ts", "src/backends/array/rows.ts"),
    "src/schedule/planner.ts names the implementation src/backends/array/rows.ts, which select.ts alone may",
  );
  assertEquals(
    found("src/write/mask.ts", "npm:left-pad@1.0.0"),
    "src/write/mask.ts imports npm:left-pad@1.0.0, which is not of this repository",
  );
  assertEquals(found("src/jupyter/figure.ts", "npm:/left-pad@1.0.0"), null);
  assertEquals(
    found("src/jupyter/figure.ts", "npm:left-pad@1"),
    "src/jupyter/figure.ts imports npm:left-pad@1, which is not of this repository",
  );
  assertEquals(
    found("src/kernel/main.ts", "src/base/errors.ts"),
    "src/kernel/main.ts imports src/base/errors.ts, but the kernel stands apart",
  );
  assertEquals(
    found("src/numerics/reference.ts", "src/numerics/power_shift.ts"),
    "src/numerics/reference.ts imports src/numerics/power_shift.ts, but the oracle shares no code",
  );
  const arrow = (from: string, to: string, isDynamic = false) => ({ from, to, isDynamic, isType: false });
  assertEquals(circleIn([arrow("a", "b"), arrow("b", "c"), arrow("c", "b")]), ["b", "c", "b"]);
  assertEquals(circleIn([arrow("a", "b"), arrow("b", "a", true)]), null);
});

Deno.test("import graph: a room stands above all that it imports, and the rooms of a circle share a floor", () => {
  assertEquals(floorsOf([]), 0);
  assertEquals(floorsOf([[1, 2], [2, 3], [1, 3]]), 3);
  assertEquals(floorsOf([[1, 2], [2, 1], [1, 3], [2, 3]]), 2);
});

Deno.test("import graph: imports of types and imports on demand are seen", () => {
  const has = (from: string, to: string) => arrows.some((arrow) => arrow.from === from && arrow.to === to);
  assert(has("mod.ts", "src/engine/dynamic_attention.ts"));
  assert(has("src/schedule/planner.ts", "src/backends/backend.ts"), "a type");
  assert(has("src/backends/select.ts", "src/backends/array/array_backend.ts"), "on demand");
});
