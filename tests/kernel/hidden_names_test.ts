// Full suite: it starts a kernel for each way to hide names.
//
// A notebook may declare any name there is. Declarations of cells are seen by all code of the process, modules too, so that
// the part of the kernel beside the cells uses names of its own: what it takes was taken before the first cell.

import { stripVTControlCharacters } from "node:util";
import { parse } from "babel-parser";
import { isNode, type SyntaxNode } from "../../src/kernel/cell/parser.ts";
import type { KernelProcess } from "../../src/kernel/kernel_process.ts";
import { assertEquals } from "../../testing/assert.ts";
import { childOf, startProxy } from "../../testing/kernel/start_proxy.ts";

const PRELUDE = new URL("../../src/kernel/prelude/mod.ts", import.meta.url);

/** The module and all that it imports when it runs. */
function* modulesFrom(url: URL, seen = new Set<string>()): Generator<readonly [url: URL, text: string]> {
  if (seen.has(url.href)) return;
  seen.add(url.href);
  const text = Deno.readTextFileSync(url);
  yield [url, text];
  for (const { source, importKind, exportKind } of programOf(text).body as SyntaxNode[]) {
    if (!isNode(source) || importKind === "type" || exportKind === "type") continue;
    if (String(source.value).startsWith(".")) yield* modulesFrom(new URL(String(source.value), url), seen);
  }
}

function programOf(text: string): SyntaxNode {
  return parse(text, { sourceType: "module", plugins: ["typescript"] }).program as unknown as SyntaxNode;
}

/** Names that a module reads and has not made. */
function freeNames(text: string): Set<string> {
  const read = new Set<string>(), own = new Set<string>();
  const bind = (pattern: unknown) => {
    if (!isNode(pattern)) return;
    if (pattern.type === "Identifier") own.add(String(pattern.name));
    else if (pattern.type === "AssignmentPattern") bind(pattern.left);
    else if (pattern.type === "RestElement") bind(pattern.argument);
    else if (pattern.type === "ArrayPattern") (pattern.elements as unknown[]).forEach(bind);
    else if (pattern.type === "TSParameterProperty") bind(pattern.parameter);
    else if (pattern.type === "ObjectPattern") {
      for (const property of pattern.properties as SyntaxNode[]) bind(property.value ?? property);
    }
  };
  const visit = (node: SyntaxNode) => {
    const { type } = node;
    // `import.meta` is no name.
    if (type === "MetaProperty") return;
    if (type === "Identifier") return void read.add(String(node.name));
    if (/^Import.*Specifier$/.test(type)) return bind(node.local);
    if (/^(FunctionDeclaration|ClassDeclaration|VariableDeclarator|FunctionExpression)$/.test(type)) {
      bind(node.id);
    }
    if (type === "CatchClause") bind(node.param);
    if (Array.isArray(node.params)) node.params.forEach(bind);
    for (const [name, value] of Object.entries(node)) {
      const isName = name === "key" && node.computed !== true ||
        name === "property" && node.computed !== true;
      if (isName || name.endsWith("Comments") || name === "label") continue;
      for (const item of Array.isArray(value) ? value : [value]) {
        // Types are gone when the code runs.
        if (isNode(item) && !/^TS(?!As|NonNull|Satisfies|Parameter)/.test(item.type)) visit(item);
      }
    }
  };
  visit(programOf(text));
  return read.difference(own);
}

Deno.test("the part of the kernel beside the cells uses no name that a cell could declare", () => {
  const used: string[] = [];
  let modules = 0;
  for (const [url, text] of modulesFrom(PRELUDE)) {
    modules++;
    if (url.pathname.endsWith("/natives.ts")) continue;
    for (const name of freeNames(text)) {
      if (!RESERVED.test(name)) used.push(`${url.pathname.split("/").at(-1)}: ${name}`);
    }
  }
  assertEquals(used, []);
  assertEquals(modules > 20, true, "the modules are found");
  assertEquals([...freeNames("const a = new Map([[b, 1]]); f(a.c, { d: e, g })")].sort(), [
    "Map",
    "b",
    "e",
    "f",
    "g",
  ]);
});

/** What a cell has led to, in words. */
async function told(kernel: KernelProcess, code: string): Promise<string> {
  const { status, outputs } = await kernel.client.execute(code);
  const words = outputs.map(({ header: { msg_type: type }, content }) => {
    const data = content.data as Record<string, string> | undefined;
    const text = content.text ?? data?.["text/plain"] ?? content.evalue;
    return `${type}: ${stripVTControlCharacters(String(text)).split("\n")[0]}`;
  });
  return [status, ...words].join("; ");
}

const STOPPED = "error; stream: begun; error: the cell was stopped; its state is kept";

async function stopped(kernel: KernelProcess, code: string): Promise<string> {
  const begun = Promise.withResolvers<void>();
  const running = told(kernel, code);
  const timer = setTimeout(() => begun.resolve(), 400);
  await begun.promise;
  clearTimeout(timer);
  await kernel.client.request("interrupt_request", {}, "control");
  return await running;
}

/** All that the kernel's part does. */
async function assertWorks(kernel: KernelProcess): Promise<void> {
  const child = await childOf(kernel);
  const cases: readonly (readonly [code: string, expected: string])[] = [
    ["6 * 7", "ok; execute_result: 42"],
    ["[{ a: 1 }]", "ok; execute_result: [ { a: 1 } ]"],
    ["({ a: 1 });", "ok"],
    ["_", "ok; execute_result: { a: 1 }"],
    [`console.log("out"); console.error("err")`, "ok; stream: out; stream: err"],
    [
      "async function later() { await null; await (async () => {})(); return 5 } await later()",
      "ok; execute_result: 5",
    ],
    ["for await (const item of (async function* () { yield 1 })()) console.log(item)", "ok; stream: 1"],
    ["throw 7", "error; error: 7"],
    ["null.x", "error; error: Cannot read properties of null (reading 'x')"],
    [`import { join } from "node:path"; join("a", "b")`, 'ok; execute_result: "a/b"'],
  ];
  for (const [code, expected] of cases) assertEquals(await told(kernel, code), expected, code);
  const { content: { matches } } = await kernel.client.request("complete_request", {
    code: "late",
    cursor_pos: 4,
  });
  assertEquals((matches as string[]).includes("later"), true, "completion");
  const { content: members } = await kernel.client.request("complete_request", {
    code: `"a".at`,
    cursor_pos: 6,
  });
  assertEquals((members.matches as string[])[0], "at", "completion of members");
  const { content: { found } } = await kernel.client.request("inspect_request", {
    code: "later",
    cursor_pos: 5,
  });
  assertEquals(found, true, "inspection");
  const { content } = await kernel.client.request("execute_request", {
    code: "0",
    user_expressions: { sum: "1 + 1" },
  });
  const { sum } = content.user_expressions as Record<string, { status: string }>;
  assertEquals(sum.status, "ok", "user_expressions");
  const begun = `console.log("begun");`;
  assertEquals(
    await stopped(kernel, `${begun} async function on() { for (;;) await null } await on()`),
    STOPPED,
  );
  assertEquals(await stopped(kernel, `${begun} for (;;);`), STOPPED);
  assertEquals(await told(kernel, `"the " + "end"`), 'ok; execute_result: "the end"');
  assertEquals(await childOf(kernel), child, "it is the same kernel");
}

/** Words of the language, and names that cells may not declare in strict code. */
const RESERVED = /^(undefined|NaN|Infinity|eval|console|_+)$/;
const NAMES = Object.getOwnPropertyNames(globalThis).filter((name) =>
  /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) && !RESERVED.test(name)
);

const DECLARED: readonly (readonly [what: string, code: string])[] = [
  ["every built-in name at once", `let ${NAMES.join(", ")};`],
  ["globalThis as a variable", "var globalThis = 1"],
  [
    "functions over what the kernel was given",
    "function setTimeout() {} function Promise() {} function Reflect() {}",
  ],
  ["classes", "class Promise {} class Deno {} class Map {} class Error {}"],
  [
    "the words that cells are rewritten with",
    "let kernel, awaiting, iterating, looping, importing, error, attune, failed",
  ],
];

for (const [what, code] of DECLARED) {
  Deno.test(`what a notebook declares hides nothing from the kernel: ${what}`, async () => {
    await using kernel = await startProxy();
    assertEquals((await told(kernel, code)).split(";")[0], "ok");
    await assertWorks(kernel);
  });
}

Deno.test("the one name that cells may not declare is refused, and the kernel goes on", async () => {
  await using kernel = await startProxy();
  for (const way of ["let", "class"]) {
    assertEquals(
      await told(kernel, `${way} __attune_kernel__ ${way === "let" ? "" : "{}"}`),
      "error; error: Identifier '__attune_kernel__' has already been declared",
    );
  }
  assertEquals((await told(kernel, "var __attune_kernel__ = 1")).split(";")[0], "error");
  await assertWorks(kernel);
});
