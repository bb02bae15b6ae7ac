// Names that an import may begin with are those that the notebook's folder has, and those of the kernel.

import { importNames, isImport } from "../../src/kernel/proxy/import_names.ts";
import { assertEquals } from "../../testing/assert.ts";

Deno.test("imports: names come from the nearest package.json and deno.json, and from the kernel", async () => {
  const root = await Deno.makeTempDir();
  try {
    const folder = `${root}/a/b`;
    await Deno.mkdir(folder, { recursive: true });
    const packages = { "@own/name": "file:///own.ts" };
    assertEquals(await importNames(folder, {}), []);
    await Deno.writeTextFile(
      `${root}/a/package.json`,
      `{ "dependencies": { "chalk": "5" }, "devDependencies": { "@scope/one": "1", "chalk": "4" }, "imports": 3 }`,
    );
    await Deno.writeTextFile(`${root}/deno.json`, `{ "imports": { "far": "./far.ts" } }`);
    assertEquals(await importNames(folder, packages), ["@own/name", "@scope/one", "chalk", "far"]);
    await Deno.writeTextFile(`${folder}/deno.json`, `{ "imports": { "near": "./near.ts" } }`);
    assertEquals(await importNames(folder, packages), ["@own/name", "@scope/one", "chalk", "near"]);
    await Deno.writeTextFile(`${folder}/deno.json`, `{ "imports": null, broken`);
    await Deno.writeTextFile(`${folder}/package.json`, `[1]`);
    assertEquals(await importNames(folder, packages), ["@own/name"]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("imports: a text is the name of a module behind the words that take one, and nowhere else", () => {
  for (
    const code of [
      `import x from "`,
      `import "a`,
      `import('a`,
      `await import(\n "`,
      `export * from 'b`,
      `require("`,
    ]
  ) {
    assertEquals(isImport(code, code.length), true, code);
  }
  for (
    const code of [
      `const x = "`,
      `import x from`,
      `// import "`,
      `f("`,
      `{ from: "`,
      `reimport("`,
      "import x from /a",
    ]
  ) {
    assertEquals(isImport(code, code.length), false, code);
  }
});
