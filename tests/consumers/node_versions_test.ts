// Full suite: Node 20, 22 and 24 come from npm, half a hundred megabytes each.
//
// The library on the lines of Node that are in use, bundled into a program.

import { assertEquals } from "../../testing/assert.ts";
import { bundle } from "../../tools/bundle.ts";
import { findProgram, requires } from "../../testing/requirements.ts";
import { assertRight, bundledProgram } from "./bundled_program.ts";
import { ConsumerProject, ENTRY_POINTS } from "./project.ts";

const npx = findProgram("npx");
const needsNpx = requires("npx", npx, "apt-get install npm");
const VERSIONS = [20, 22, 24];

for (const version of VERSIONS) {
  Deno.test({
    name: `a bundled program computes on Node ${version}`,
    ...needsNpx,
    fn: async () => {
      await using project = await bundledProgram();
      const run = (...args: string[]) => project.run(npx as string, ["-y", `node@${version}`, ...args]);
      assertEquals((await run("--version")).stdout.split(".")[0], `v${version}`);
      const { code, stdout, stderr } = await run("program.mjs");
      assertEquals([code, stderr], [0, ""]);
      assertRight(stdout, 2);
    },
  });
}

Deno.test({
  name: `Node ${VERSIONS[0]} can read every module that users load`,
  ...needsNpx,
  fn: async () => {
    await using project = await ConsumerProject.create({});
    for (const [name, module] of Object.entries(ENTRY_POINTS)) {
      if (/\/(durable|kernel)$/.test(name)) continue;
      await project.write("entry.mjs", await bundle(module, { external: ["npm:*"], minify: false }));
      const { code, stderr } = await project.run(npx as string, [
        ...["-y", `node@${VERSIONS[0]}`, "--check", "entry.mjs"],
      ]);
      assertEquals([code, stderr], [0, ""], name);
    }
  },
});
