// Full suite: each set of options is another check of everything.
//
// The types of every entry point hold under the compiler options of whoever imports it.

import { assertEquals, assertMatch } from "../../testing/assert.ts";
import { ConsumerProject, IMPORT_ALL } from "./project.ts";

/** Option sets that a project may have. Those that speak of how bodies are written are not among them. */
const OPTION_SETS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
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

for (const [name, options] of Object.entries(OPTION_SETS)) {
  Deno.test(`every entry point passes the type check of a project with options: ${name}`, async () => {
    await using project = await ConsumerProject.create({ "main.ts": IMPORT_ALL }, options);
    const { code, stderr } = await project.deno("check", "main.ts");
    assertEquals(code, 0, stderr);
  });
}

Deno.test("a check of a consumer's project sees mistakes in the library's own files", async () => {
  await using project = await ConsumerProject.create({ "main.ts": IMPORT_ALL }, {
    noPropertyAccessFromIndexSignature: true,
  });
  const { code, stderr } = await project.deno("check", "main.ts");
  assertEquals(code, 1);
  assertMatch(stderr, /TS4111[^]+\/src\//);
});
