// Full suite: every check reads all types of a project anew.
//
// A project outside of the repository, with compiler options of Deno's own, imports every entry point.

import { assert, assertEquals } from "../../testing/assert.ts";
import { ConsumerProject, ENTRY_POINTS, IMPORT_ALL } from "./project.ts";

Deno.test("every entry point passes the type check of a project with Deno's own options", async () => {
  await using project = await ConsumerProject.create({ "main.ts": IMPORT_ALL });
  const { code, stderr } = await project.deno("check", "main.ts");
  assertEquals(code, 0, stderr);
});

Deno.test("a program in a project outside runs with every entry point", async () => {
  await using project = await ConsumerProject.create({ "main.ts": IMPORT_ALL });
  const { code, stdout, stderr } = await project.deno("run", "--allow-all", "main.ts");
  assertEquals([code, stdout], [0, Object.keys(ENTRY_POINTS).map(() => "object\n").join("")], stderr);
  assert(Object.keys(ENTRY_POINTS).length >= 6, "the entry points were not found");
});
