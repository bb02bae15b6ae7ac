// Full suite: Node 20, 22 and 24 come from npm, half a hundred megabytes each.
//
// The library on the lines of Node that are in use: bundled into a program, and as the package that `deno pack` makes
// of it, whose declarations TypeScript checks.

import { assertEquals } from "../../testing/assert.ts";
import { bundle } from "../../tools/bundle.ts";
import { findProgram, requires } from "../../testing/requirements.ts";
import { assertRight, bundledProgram } from "./bundled_program.ts";
import { ConsumerProject, ENTRY_POINTS } from "./project.ts";

const npx = findProgram("npx");
const needsNpx = requires("npx", npx, "apt-get install npm");
const VERSIONS = [20, 22, 24];
const TYPESCRIPT = "typescript@5.9.3";

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

Deno.test({
  name: "the declarations of the packed package hold under TypeScript's strictest options",
  ...needsNpx,
  fn: async () => {
    const names = Object.keys(ENTRY_POINTS).filter((name) => !/\/(durable|kernel)$/.test(name));
    await using project = await ConsumerProject.create({
      "package.json": `{ "type": "module" }`,
      "tsconfig.json": JSON.stringify({ compilerOptions: STRICTEST }),
      "main.ts": names.map((name, at) => `export type * as entry${at} from "${name}";`).join("\n") + USE,
    });
    const root = new URL("../../", import.meta.url);
    const tarball = `${project.folder}/package.tgz`;
    const packed = await new Deno.Command(Deno.execPath(), {
      args: ["pack", "--allow-dirty", "--output", tarball],
      cwd: root,
    }).output();
    assertEquals(packed.success, true, new TextDecoder().decode(packed.stderr));
    const place = "node_modules/@attune/attention";
    await Deno.mkdir(`${project.folder}/${place}`, { recursive: true });
    const unpacked = await project.run("tar", ["xzf", tarball, "-C", place, "--strip-components=1"]);
    assertEquals(unpacked.code, 0, unpacked.stderr);
    const { code, stdout } = await project.run(npx as string, ["-y", "-p", TYPESCRIPT, "tsc", "-p", "."]);
    assertEquals([code, stdout], [0, ""]);
  },
});

/** Declarations are looked at, and the use of what may be missing is checked. */
const STRICTEST = {
  ...{ strict: true, noEmit: true, skipLibCheck: false, types: [] },
  ...{ target: "es2022", lib: ["es2022", "esnext.disposable", "dom"] },
  ...{ module: "nodenext", moduleResolution: "nodenext" },
  ...{ noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true },
  ...{ noPropertyAccessFromIndexSignature: true, noImplicitOverride: true },
};

const USE = `
import { DynamicAttention } from "@attune/attention";
const live = await DynamicAttention.create({ query: [[1]], key: [[1]], value: [[3]] });
const first: number | undefined = (await live.read()).data[0];
console.log(first);
`;
