// The types of every entry point hold under the compiler options of whoever imports it, and a program runs there.

import { assert, assertEquals, assertMatch } from "../../testing/assert.ts";
import { IS_LONG } from "../../testing/requirements.ts";
import { ConsumerProject, ENTRY_POINTS } from "./project.ts";

const IMPORTS = Object.keys(ENTRY_POINTS)
  .map((name, at) => `import * as entry${at} from "${name}";\nconsole.log(typeof entry${at});`)
  .join("\n");

/** Option sets that a project may have. Those that speak of how bodies are written are not among them. */
const OPTION_SETS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "Deno's own": {},
  "exactOptionalPropertyTypes": { exactOptionalPropertyTypes: true },
  "not strict": { strict: false },
  "with the names of a page": { lib: ["dom", "dom.iterable", "dom.asynciterable", "esnext", "deno.ns"] },
  "in a worker": { lib: ["deno.worker"] },
  "nothing unused, nothing implicit": {
    noUnusedLocals: true,
    noUnusedParameters: true,
    noImplicitReturns: true,
    noImplicitOverride: true,
    noFallthroughCasesInSwitch: true,
    allowUnreachableCode: false,
  },
  "types that can be erased": { verbatimModuleSyntax: true, erasableSyntaxOnly: true },
};

/** The two that nearly all projects have; the others are for the full suite. */
const COMMON = 2;

for (const [name, options] of Object.entries(OPTION_SETS).slice(0, IS_LONG ? undefined : COMMON)) {
  Deno.test(`every entry point passes the type check of a project with options: ${name}`, async () => {
    await using project = await ConsumerProject.create({ "main.ts": IMPORTS }, options);
    const { code, stderr } = await project.deno("check", "main.ts");
    assertEquals(code, 0, stderr);
  });
}

Deno.test("a check of a consumer's project sees mistakes in the library's own files", async () => {
  await using project = await ConsumerProject.create({ "main.ts": IMPORTS }, {
    noPropertyAccessFromIndexSignature: true,
  });
  const { code, stderr } = await project.deno("check", "main.ts");
  assertEquals(code, 1);
  assertMatch(stderr, /TS4111[^]+\/src\/figures\//);
});

Deno.test("a program in a project outside runs with every entry point", async () => {
  await using project = await ConsumerProject.create({ "main.ts": IMPORTS });
  const { code, stdout, stderr } = await project.deno("run", "--allow-all", "main.ts");
  assertEquals([code, stdout], [0, Object.keys(ENTRY_POINTS).map(() => "object\n").join("")], stderr);
  assert(Object.keys(ENTRY_POINTS).length >= 6, "the entry points were not found");
});
