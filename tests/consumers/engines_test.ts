// Full suite: it checks the types of all that is published once more, for an older engine.
//
// What users load uses nothing that their engine may lack: no library feature newer than ES2022, but for the symbols
// of `using`, and no syntax newer than ES2022. Node 20, the oldest that is tried, has all of that.

import { assertEquals, assertMatch } from "../../testing/assert.ts";
import { bundle } from "../../tools/bundle.ts";
import { ConsumerProject, ENTRY_POINTS } from "./project.ts";

/** The library without Deno's names and without what came after ES2022. */
const OLD_ENGINE = { lib: ["es2022", "esnext.disposable", "dom", "dom.iterable"] };
/** The kernel, clusters and durable folders, which need files, sockets and SQLite, are for Deno alone. */
const LOADED = Object.entries(ENTRY_POINTS).filter(([name]) => !/\/(cluster|durable|kernel)$/.test(name));

/** The complaints of a type check, a line each, but for those of the name `Deno`. */
function complaintsOf(output: string): string[] {
  return output.split("\n").filter((line) => /^TS\d+ /.test(line) && !line.includes("name 'Deno'"));
}

Deno.test("what users load uses no feature of a library newer than ES2022", async () => {
  const source = LOADED.map(([name], at) => `export * as entry${at} from "${name}";`).join("\n");
  await using project = await ConsumerProject.create({ "main.ts": source }, OLD_ENGINE);
  const { stderr } = await project.deno("check", "main.ts");
  assertEquals(complaintsOf(stderr), []);
  assertEquals(LOADED.length, Object.keys(ENTRY_POINTS).length - 3);
});

for (const [name, module] of LOADED) {
  Deno.test(`${name} disposes of nothing by \`using\`, which engines of 2024 cannot parse`, async () => {
    // Without comments.
    const program = await bundle(module, { external: ["npm:*"], minify: true });
    assertEquals(program.match(/\busing \w+=.{0,40}/g), null);
  });
}

Deno.test("the check for ES2022 sees what is newer", async () => {
  const source =
    `console.log(Promise.try(() => 1), new Uint8Array(1).toHex(), Promise.withResolvers<void>());`;
  await using project = await ConsumerProject.create({ "main.ts": source }, OLD_ENGINE);
  const complaints = complaintsOf((await project.deno("check", "main.ts")).stderr);
  assertEquals(complaints.length, 3);
  for (const complaint of complaints) assertMatch(complaint, /^TS2550 /);
});
