// `deno task live`: from the sources of the live figure to the module that holds its program, with the backend `array` alone,
// which is all that a figure needs. With --check nothing is written; it fails when what is committed is not what the sources give.

import { takeArguments } from "../studies/command_line.ts";
import { bundle } from "./bundle.ts";

const FOLDER = new URL("../src/jupyter/live/", import.meta.url);

/** The generated module. */
export const PROGRAM_MODULE = new URL("program.ts", FOLDER);

/** Modules that the figure never asks for. */
const UNUSED = [
  "./wasm/wasm_backend.ts",
  "./webgpu/webgpu_backend.ts",
  "./webgpu/adapter.ts",
  "./engine_snapshot.ts",
  "./matrix_bundle.ts",
];

/** The text of the program, and the module that holds it. */
export async function liveProgramSource(): Promise<{ text: string; source: string }> {
  const text = await bundle(new URL("page/main.ts", FOLDER), { external: UNUSED, format: "iife" });
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  const program = new Uint8Array(await new Response(packed).arrayBuffer()).toBase64();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const source =
    `// Generated from page/ by \`deno task live\`: the program of the live figure. Not to be edited.
// deno-fmt-ignore-file

/** Tells this program from others. */
export const VERSION = "${hash.toHex().slice(0, 12)}";
/** A script, compressed by gzip, in base64. */
export const PROGRAM = "${program}";
`;
  return { text, source };
}

/** The text of the program that is committed. Packing may differ from one Deno to another, this does not. */
export async function unpackedProgram(): Promise<string> {
  const { PROGRAM } = await import(PROGRAM_MODULE.href);
  const stream = new Blob([Uint8Array.fromBase64(PROGRAM)]).stream();
  return await new Response(stream.pipeThrough(new DecompressionStream("gzip"))).text();
}

if (import.meta.main) {
  const { values: { check } } = takeArguments({
    task: "live",
    about: "Writes the program of live figures.",
    options: { check: { type: "boolean", about: "only compare with the sources" } },
  });
  const { text, source } = await liveProgramSource();
  if (!check) {
    await Deno.writeTextFile(PROGRAM_MODULE, source);
    console.log(`${text.length} letters of program, ${source.length} of module`);
  } else if (text !== await unpackedProgram()) {
    console.error("src/jupyter/live/program.ts is not what the sources give: run `deno task live`");
    Deno.exit(1);
  }
}
