// The house has one direction: a module imports from its own floor or a lower one, and no way leads back to where
// it began. The check reads sources as text, so that it also sees imports of types, which leave no trace at run
// time.

import { assert, assertEquals } from "../../testing/assert.ts";

/** Floors, the lowest first: a module belongs to the first one that claims its path. */
const FLOORS: readonly (readonly [name: string, claims: RegExp])[] = [
  ["kernel", /^src\/kernel\//],
  ["errors", /^src\/errors\.ts$/],
  ["names and lists", /^src\/(names|lists)\.ts$/],
  ["matrix", /^src\/(matrix|saved_array)\.ts$/],
  ["answers", /^src\/answers\.ts$/],
  ["display", /^src\/display\//],
  ["core", /^src\/core\//],
  ["backend contract", /^src\/backends\/(backend|since)\.ts$/],
  ["backends", /^src\/backends\//],
  ["lazy", /^src\/lazy\//],
  ["options", /^src\/(options|question_options)\.ts$/],
  ["store", /^src\/store\//],
  ["filled backends", /^src\/(fill_backend|engine_snapshot|engine_stats)\.ts$/],
  ["entry points", /^src\/(dynamic_attention|attention|merge_states)\.ts$/],
  ["public surface", /^mod\.ts$/],
  ["figures", /^src\/figures\//],
  ["notebook", /^src\/jupyter\//],
  ["site", /^src\/site\//],
  ["learning", /^src\/learning\//],
  ["experiments", /^src\/experiments\//],
];

/** Paths to sources, relative to the repository. */
type Sources = ReadonlyMap<string, string>;

/** The specifiers of all imports and re-exports of a module; code in comments does not count. */
function specifiersOf(source: string): string[] {
  const stringOrComment =
    /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\*[^]*?\*\/|\/\/[^\n]*/g;
  const code = source.replace(stringOrComment, (found) => found.startsWith("/") ? " " : found);
  const imports =
    /\b(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g;
  return [...code.matchAll(imports)].map(([, from, bare]) => from ?? bare);
}

function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

function floorOf(path: string): number {
  return FLOORS.findIndex(([, claims]) => claims.test(path));
}

/** What is wrong with the imports of a set of modules, a sentence each. */
function complaints(sources: Sources): string[] {
  const found: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, source] of sources) {
    if (floorOf(path) === -1) found.push(`${path} has no floor`);
    const targets: string[] = [];
    const isCode = /\.[jt]s$/.test(path);
    for (const specifier of isCode ? specifiersOf(source) : []) {
      if (!specifier.startsWith(".")) {
        if (!mayDepend(path, specifier)) {
          found.push(`${path} imports ${specifier}, which is not of this repository`);
        }
        continue;
      }
      const target = resolve(path, specifier);
      if (!sources.has(target)) found.push(`${path} imports ${target}, which is not there`);
      else targets.push(target);
      found.push(...complaintsOfArrow(path, target));
    }
    graph.set(path, targets);
  }
  const circle = circleIn(graph);
  if (circle) found.push(`circle: ${circle.join(" → ")}`);
  return found;
}

/** Experiments are not published; what draws names its dependencies in full, so that it can be. */
function mayDepend(path: string, specifier: string): boolean {
  if (path.startsWith("studies/")) return true;
  if (path.startsWith("src/kernel/") && specifier.startsWith("node:")) return true;
  if (path === "src/kernel/cell/parser.ts" && specifier.startsWith("npm:@babel/parser@")) return true;
  return /^src\/(figures|jupyter)\//.test(path) &&
    /^npm:(@[\w-]+\/)?[\w.-]+@\d+\.\d+\.\d+(\/|$)/.test(specifier);
}

function complaintsOfArrow(path: string, target: string): string[] {
  const found: string[] = [];
  const floor = floorOf(path), targetFloor = floorOf(target);
  if (targetFloor > floor && floor !== -1) {
    found.push(`${path} (${FLOORS[floor][0]}) imports ${target} (${FLOORS[targetFloor][0]}) above it`);
  }
  if (path === "src/engine/answers.ts" && target !== "src/base/matrix.ts") {
    found.push(`${path} imports ${target}, but may know matrices alone`);
  }
  // Widgets speak to the kernel that they live in, and know what it offers.
  const isBridge = path.startsWith("src/jupyter/widgets/") && target === "src/kernel/prelude/bridge.ts";
  if (path.startsWith("src/kernel/") !== target.startsWith("src/kernel/") && !isBridge) {
    found.push(`${path} imports ${target}, but src/kernel stands apart`);
  }
  if (path === "src/numerics/reference.ts") found.push(`${path} imports ${target}, but shares no code`);
  // Rows in float64 are no place that computes, but what several of them share.
  const implementation = /^(src\/backends\/(?!float64\/)[^/]+\/)/.exec(target)?.[1];
  if (implementation && !path.startsWith(implementation) && path !== "src/backends/select.ts") {
    found.push(`${path} names the implementation ${target}, which only select.ts may`);
  }
  return found;
}

/** A way that ends where it began, or null. */
function circleIn(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const way: string[] = [];
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

const ROOT = new URL("../../", import.meta.url);

async function readSources(): Promise<Sources> {
  const sources = new Map<string, string>();
  async function readFolder(folder: string): Promise<void> {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      if (isDirectory) await readFolder(`${folder}${name}/`);
      else await readModule(`${folder}${name}`);
    }
  }
  async function readModule(path: string): Promise<void> {
    sources.set(path, await Deno.readTextFile(new URL(path, ROOT)));
  }
  await readModule("mod.ts");
  await readFolder("src/");
  return sources;
}

Deno.test("imports point one way, without a circle", async () => {
  const sources = await readSources();
  assertEquals(complaints(sources), []);
});

Deno.test("the modules and their imports were found at all", async () => {
  const sources = await readSources();
  for (
    const path of ["mod.ts", "src/engine/dynamic_attention.ts", "src/backends/select.ts", "src/schedule/planner.ts"]
  ) {
    assert(sources.has(path), path);
  }
  const modules = (path: string) =>
    specifiersOf(sources.get(path)!).map((specifier) => resolve(path, specifier));
  assert(modules("mod.ts").includes("src/engine/dynamic_attention.ts"));
  assert(modules("src/schedule/planner.ts").includes("src/backends/backend.ts"), "imports of types count");
  // Code in doc comments imports the package by its name; that is no import of the module.
  assert(sources.get("src/engine/attention.ts")!.includes('from "@attune/attention"'));
  assertEquals(specifiersOf(sources.get("src/numerics/reference.ts")!), []);
});

Deno.test("every form of import is seen, and none that is only talked about", () => {
  const source = `
    // import { a } from "./comment.ts";
    /** \`import { a } from "./doc.ts"\` "half a string */
    import "./effect.ts";
    import all from './quotes.ts';
    import { a, type B } from "./named.ts";
    import type { C } from "./types.ts";
    import {
      long,
    } from "./lines.ts";
    import data from "./data.json" with { type: "json" };
    export { d } from "./export.ts";
    export * from "./star.ts";
    export * as space from "./space.ts";
    export const text = "http://not/a/comment", other = 'it is "quoted"';
    const later = await import("./later.ts");
    type Far = import("./far.ts").Far;
    export function from(x: number) { return x; }
  `;
  assertEquals(
    specifiersOf(source).sort(),
    ["data.json", "effect.ts", "export.ts", "far.ts", "later.ts", "lines.ts", "named.ts", "quotes.ts"]
      .concat("space.ts", "star.ts", "types.ts").map((name) => `./${name}`),
  );
});

Deno.test("the check fails on made-up mistakes", async (t) => {
  const good: Sources = new Map([
    ["mod.ts", 'export * from "./src/attention.ts";'],
    ["src/engine/attention.ts", 'import "./fill_backend.ts"; import type { E } from "./errors.ts";'],
    ["src/base/errors.ts", ""],
    ["src/base/matrix.ts", 'import { E } from "./errors.ts";'],
    ["src/engine/answers.ts", 'import type { Matrix } from "./matrix.ts";'],
    ["src/engine/options.ts", 'import "./lazy/log.ts";'],
    ["src/engine/fill_backend.ts", 'import "./options.ts"; import "./backends/backend.ts";'],
    ["src/numerics/reference.ts", ""],
    ["src/numerics/score.ts", ""],
    ["src/backends/backend.ts", 'import "../core/score.ts";'],
    ["src/backends/select.ts", 'import "./array/array.ts";'],
    ["src/backends/array/array.ts", 'import "./rows.ts"; import "../backend.ts";'],
    ["src/backends/array/rows.ts", ""],
    ["src/lazy/log.ts", 'import "../backends/backend.ts";'],
    ["src/lazy/table.ts", 'import "./log.ts";'],
    ["src/jupyter/figures/picture.ts", 'import "npm:@resvg/resvg-wasm@2.6.2"; import "../matrix.ts";'],
    ["src/jupyter/show.ts", 'import "../figures/picture.ts"; import type { A } from "../../mod.ts";'],
    ["playground/app.ts", 'import "../jupyter/show.ts"; import "../../mod.ts";'],
    ["src/learning/learner.ts", 'import "../attention.ts";'],
    ["studies/runner.ts", 'import "../../mod.ts"; import plotly from "plotly";'],
    ["src/kernel/client.ts", ""],
    ["src/kernel/prelude/bridge.ts", ""],
    ["src/jupyter/widgets/mod.ts", 'import type { B } from "../../kernel/prelude/bridge.ts";'],
  ]);
  const mistakes: readonly (readonly [path: string, source: string, complaint: string])[] = [
    [
      "src/base/errors.ts",
      'import "./attention.ts";',
      "src/base/errors.ts (errors) imports src/engine/attention.ts (entry points) above it",
    ],
    [
      "src/numerics/score.ts",
      'import type { B } from "../backends/backend.ts";',
      "src/numerics/score.ts (core) imports src/backends/backend.ts (backend contract) above it",
    ],
    [
      "src/engine/answers.ts",
      'import type { E } from "./errors.ts";',
      "src/engine/answers.ts imports src/base/errors.ts, but may know matrices alone",
    ],
    [
      "src/engine/options.ts",
      'import "./fill_backend.ts";',
      "src/engine/options.ts (options) imports src/engine/fill_backend.ts (filled backends) above it",
    ],
    [
      "src/engine/fill_backend.ts",
      'import "./attention.ts";',
      "src/engine/fill_backend.ts (filled backends) imports src/engine/attention.ts (entry points) above it",
    ],
    [
      "src/lazy/log.ts",
      'import "./table.ts";',
      "circle: src/lazy/log.ts → src/lazy/table.ts → src/lazy/log.ts",
    ],
    [
      "mod.ts",
      'export * from "./src/learning/learner.ts";',
      "mod.ts (public surface) imports src/learning/learner.ts (learning) above it",
    ],
    [
      "src/backends/array/rows.ts",
      'import "./rows.ts";',
      "circle: src/backends/array/rows.ts → src/backends/array/rows.ts",
    ],
    [
      "src/backends/backend.ts",
      'import "./array/rows.ts";',
      "src/backends/backend.ts names the implementation src/backends/array/rows.ts, which only select.ts may",
    ],
    [
      "src/lazy/table.ts",
      'import "../backends/array/rows.ts";',
      "src/lazy/table.ts names the implementation src/backends/array/rows.ts, which only select.ts may",
    ],
    [
      "mod.ts",
      'export * from "npm:left-pad";',
      "mod.ts imports npm:left-pad, which is not of this repository",
    ],
    [
      "src/lazy/log.ts",
      'import "@std/assert";',
      "src/lazy/log.ts imports @std/assert, which is not of this repository",
    ],
    [
      "src/numerics/reference.ts",
      'import "./score.ts";',
      "src/numerics/reference.ts imports src/numerics/score.ts, but shares no code",
    ],
    [
      "src/jupyter/figures/picture.ts",
      'import "../jupyter/show.ts";',
      "src/jupyter/figures/picture.ts (figures) imports src/jupyter/show.ts (notebook) above it",
    ],
    [
      "src/jupyter/show.ts",
      'import "plotly.js";',
      "src/jupyter/show.ts imports plotly.js, which is not of this repository",
    ],
    [
      "src/jupyter/figures/picture.ts",
      'import "npm:plotly.js@4";',
      "src/jupyter/figures/picture.ts imports npm:plotly.js@4, which is not of this repository",
    ],
    [
      "src/kernel/client.ts",
      'import "../errors.ts";',
      "src/kernel/client.ts imports src/base/errors.ts, but src/kernel stands apart",
    ],
    [
      "src/lazy/log.ts",
      'import "../kernel/client.ts";',
      "src/lazy/log.ts imports src/kernel/client.ts, but src/kernel stands apart",
    ],
    [
      "src/kernel/client.ts",
      'import "npm:left-pad";',
      "src/kernel/client.ts imports npm:left-pad, which is not of this repository",
    ],
    [
      "src/lazy/log.ts",
      'import "node:fs";',
      "src/lazy/log.ts imports node:fs, which is not of this repository",
    ],
    [
      "src/jupyter/widgets/slider.ts",
      'import "../../kernel/client.ts";',
      "src/jupyter/widgets/slider.ts imports src/kernel/client.ts, but src/kernel stands apart",
    ],
    [
      "src/lazy/log.ts",
      'import "../jupyter/widgets/mod.ts";',
      "src/lazy/log.ts (lazy) imports src/jupyter/widgets/mod.ts (notebook) above it",
    ],
    [
      "src/jupyter/show.ts",
      'import "../site/app.ts";',
      "src/jupyter/show.ts (notebook) imports playground/app.ts (site) above it",
    ],
    [
      "playground/app.ts",
      'import "npm:left-pad@1.0.0";',
      "playground/app.ts imports npm:left-pad@1.0.0, which is not of this repository",
    ],
    ["src/attic/old.ts", "", "src/attic/old.ts has no floor"],
    ["mod.ts", 'export * from "./src/gone.ts";', "mod.ts imports src/gone.ts, which is not there"],
  ];
  assertEquals(complaints(good), []);
  for (const [path, source, complaint] of mistakes) {
    await t.step(complaint, () => {
      const found = complaints(new Map([...good, [path, source]]));
      assert(found.includes(complaint), `found ${JSON.stringify(found)}`);
    });
  }
});
