// What engines answer to fixed streams has the bits that were written down: a change of structure leaves all
// of them as they are, a change of arithmetic changes what it means to. `deno task corpus` writes them down
// anew.

import { assertEquals } from "../../testing/assert.ts";
import { BACKENDS } from "../backends_here.ts";
import { type Corpus, playCorpus } from "../../testing/trace_corpus.ts";

const FILE = new URL("trace_corpus.json", import.meta.url);
const writes = Deno.env.get("ATTUNE_WRITE_CORPUS") === "1";

/** By backend; where another processor or device rounds otherwise, there is nothing to compare with. */
const written: Record<string, { machine: string; corpus: Corpus }> = JSON.parse(
  await Deno.readTextFile(FILE),
);

/** What the bits of a backend depend on, beside the sources. */
async function machineOf(backend: string): Promise<string> {
  if (backend === "array") return `V8 ${Deno.version.v8.split(".")[0]}`;
  if (backend === "webgpu") {
    const adapter = await navigator.gpu.requestAdapter();
    return adapter?.info.description ?? "";
  }
  const { compileKernels, createMemory, instantiateKernels, supportedBuild } = await import(
    "../../src/backends/wasm/load_kernels.ts"
  );
  const build = supportedBuild()!;
  const kernels = await instantiateKernels(await compileKernels(build), createMemory());
  return `${build}, ${kernels.isFused() === 1 ? "fused" : "not fused"}`;
}

for (const backend of BACKENDS) {
  Deno.test(`trace corpus: the bits of ${backend} are those written down`, async (t) => {
    const machine = await machineOf(backend);
    if (!writes && written[backend]?.machine !== machine) {
      console.log(`  nothing is written down for ${machine}`);
      return;
    }
    const corpus = await playCorpus(backend);
    if (writes) {
      written[backend] = { machine, corpus };
      await Deno.writeTextFile(FILE, `${JSON.stringify(written, null, 2)}\n`);
      return;
    }
    for (const [what, hash] of Object.entries(corpus)) {
      await t.step(what, () => assertEquals(hash, written[backend].corpus[what as keyof Corpus]));
    }
  });
}
