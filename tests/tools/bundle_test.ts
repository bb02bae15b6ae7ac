// Bundling: what is to stay out stays out, and a name that nothing imports is an error, since it would keep out nothing.

import { bundle } from "../../tools/bundle.ts";
import { assert, assertEquals, assertRejects } from "../../testing/assert.ts";

Deno.test("bundle: modules that are to stay out do, and those that nobody imports are named", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const url = new URL(`file://${folder}/`);
    await Deno.writeTextFile(new URL("light.ts", url), 'export const light = "a feather";\n');
    await Deno.writeTextFile(new URL("heavy.ts", url), 'export const heavy = "a mountain";\n');
    const entry = new URL("entry.ts", url);
    await Deno.writeTextFile(
      entry,
      'import { light } from "./light.ts";\nimport("./heavy.ts").then(({ heavy }) => console.log(light, heavy));\n',
    );
    const whole = await bundle(entry);
    assert(whole.includes("a feather") && whole.includes("a mountain"));
    const part = await bundle(entry, { external: ["./heavy.ts"] });
    assertEquals([part.includes("a feather"), part.includes("a mountain")], [true, false]);
    await assertRejects(() => bundle(entry, { external: ["./gone.ts"] }), Error, "imports ./gone.ts");
    const before = "./light.ts is imported before anything runs";
    for (const format of ["esm", "iife"] as const) {
      await assertRejects(() => bundle(entry, { external: ["./light.ts"], format }), Error, before);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
