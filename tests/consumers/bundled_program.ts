// A user's program with the library in it, and the judge of what it saw.

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "../../testing/assert.ts";
import { assertAccurate } from "../../testing/accuracy.ts";
import type { Seen } from "./program.ts";
import { ConsumerProject } from "./project.ts";

/** A project with the program as one file, `program.mjs`, bundled as its user would. */
export async function bundledProgram(): Promise<ConsumerProject> {
  const source = await Deno.readTextFile(new URL("program.ts", import.meta.url));
  const project = await ConsumerProject.create({ "program.ts": source });
  const { code, stderr } = await project.deno(
    ...["bundle", "--quiet", "--platform=browser", "--minify", "--output=program.mjs", "program.ts"],
  );
  assertEquals(code, 0, stderr);
  return project;
}

/** Judges what the program printed, which should have computed with so many threads. */
export function assertRight(output: string, threads: number): void {
  const seen = JSON.parse(output) as Seen;
  const { query, key, value } = seen;
  const truth = { query, key, value, scale: 1 / Math.sqrt(4), valueDim: 4 };
  const matrix = (numbers: number[]) => ({ data: Float32Array.from(numbers), shape: [6, 4] as const });
  assertEquals(Object.keys(seen.answers), ["array", "wasm"]);
  for (const [backend, { edited, loaded }] of Object.entries(seen.answers)) {
    assertAccurate(matrix(edited), truth, backend);
    assertEquals(loaded, edited, backend);
  }
  assertEquals(seen.oneShot.length, 24);
  assertEquals(seen.threads, { count: threads, hasSameBits: true });
  const [learned, loaded] = seen.learned;
  assert(learned > 15 && learned <= 20, `${learned}`);
  assertAlmostEquals(loaded, learned, 1e-6);
  assertEquals(seen.halves, [1, -2, 65504, 2 ** -24]);
  assertStringIncludes(seen.refusal, "query[0] is a view of a detached buffer");
}
