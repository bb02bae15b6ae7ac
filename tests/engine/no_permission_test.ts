// The library asks for nothing: a program without any permission, in a folder of its own, imports it by its
// path, edits and reads.

import { assertEquals } from "../../testing/assert.ts";

const MODULE = new URL("../../mod.ts", import.meta.url).href;
const LEARNING = new URL("../../src/learning/mod.ts", import.meta.url).href;

async function runWithoutPermission(
  source: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const folder = await Deno.makeTempDir({ prefix: "attune-" });
  try {
    const script = `${folder}/script.ts`;
    await Deno.writeTextFile(script, source);
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--quiet", script],
      cwd: folder,
    });
    const { code, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("an engine needs no permission", async () => {
  const source = `
    import { attention, DynamicAttention } from ${JSON.stringify(MODULE)};
    const names = ["read", "write", "net", "env", "run", "sys", "ffi"] as const;
    const states = names.map((name) => Deno.permissions.querySync({ name }).state);
    if (states.includes("granted")) throw new Error("this run proves nothing: " + states);

    const options = { query: [[0, 0]], key: [[1, 2], [3, 4]], value: [[10], [20]] };
    await using live = await DynamicAttention.create(options);
    await using plain = await DynamicAttention.create({ ...options, backend: "array" });
    console.log((await plain.read()).data[0], plain.stats().backend);
    live.setValue(1, [40]);
    live.insert([5, 6], [1]);
    await using again = await DynamicAttention.load(await live.save());
    console.log((await again.read()).data[0], (await attention(options)).data[0], live.stats().backend);
  `;
  assertEquals(await runWithoutPermission(source), { code: 0, stdout: "15 array\n17 15 wasm\n", stderr: "" });
});

Deno.test("a learner needs no permission", async () => {
  const source = `
    import { DynamicAttention } from ${JSON.stringify(MODULE)};
    import { OnlineLearner } from ${JSON.stringify(LEARNING)};

    await using live = await DynamicAttention.create({ query: [[0]], key: [[1], [2]], value: [[10], [20]] });
    const learner = new OnlineLearner(live, { rate: 1 });
    await learner.learnOne({ query: 0 }, 16);
    const again = await OnlineLearner.load(await learner.save(), { rate: 1 });
    console.log((await again.predictOne({ query: 0 }))[0] > 15, again.stats().steps);
    await again.live.dispose();
  `;
  assertEquals(await runWithoutPermission(source), { code: 0, stdout: "true 1\n", stderr: "" });
});

Deno.test("importing the library prints nothing", async () => {
  const imports = `import ${JSON.stringify(MODULE)}; import ${JSON.stringify(LEARNING)};`;
  assertEquals(await runWithoutPermission(imports), {
    code: 0,
    stdout: "",
    stderr: "",
  });
});

Deno.test("a program that does need a permission fails here", async () => {
  const { code, stdout } = await runWithoutPermission('console.log(Deno.readTextFileSync("script.ts"));');
  assertEquals([code, stdout], [1, ""]);
});
