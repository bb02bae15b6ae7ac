// `deno task wasm`: from AssemblyScript to the module that holds the bytes. The compiler is given the sources in memory and
// needs no folder of packages. With --check nothing is written; it fails when what is committed is not what the sources give.

import { takeArguments } from "../studies/command_line.ts";
import compiler from "assemblyscript/asc";

const FOLDER = new URL("../src/backends/wasm/", import.meta.url);

/** The generated module. */
export const MODULE = new URL("module.ts", FOLDER);

const OPTIONS = ["-O3", "--converge", "--noAssert", "--runtime", "stub", "--importMemory", "--sharedMemory"]
  .concat("--maximumMemory", "65536", "--enable", "simd", "--enable", "threads", "--enable", "bulk-memory")
  .concat("--disable", "mutable-globals", "--use", "abort=", "--outFile", "kernels.wasm");

/** The bytes of one build. */
export async function compileKernels(build: "simd128" | "relaxed"): Promise<Uint8Array<ArrayBuffer>> {
  const options = build === "relaxed" ? [...OPTIONS, "--enable", "relaxed-simd"] : OPTIONS;
  let bytes: Uint8Array<ArrayBuffer> | null = null;
  const { error, stderr } = await compiler.main(["assembly/kernels.ts", ...options], {
    readFile: (name) => Deno.readTextFile(new URL(name, FOLDER)).catch(() => null),
    writeFile: (_name, contents) => {
      bytes = Uint8Array.from(contents as Uint8Array);
    },
    listFiles: () => [],
  });
  if (error || !bytes) throw new Error(`compileKernels: ${build} does not compile\n${stderr}`);
  return bytes;
}

/** The text of the generated module. */
export function moduleSource(simd128: Uint8Array<ArrayBuffer>, relaxed: Uint8Array<ArrayBuffer>): string {
  return `// Generated from assembly/ by \`deno task wasm\`: the kernels, in base64. Not to be edited.
// deno-fmt-ignore-file

/** Compiled for 128-bit SIMD. */
export const SIMD128 = "${simd128.toBase64()}";
/** Compiled for 128-bit SIMD with fused multiply-add. */
export const RELAXED = "${relaxed.toBase64()}";
`;
}

if (import.meta.main) {
  const { values: { check } } = takeArguments({
    task: "wasm",
    about: "Compiles the WebAssembly kernels.",
    options: { check: { type: "boolean", about: "only compare with the sources" } },
  });
  const source = moduleSource(await compileKernels("simd128"), await compileKernels("relaxed"));
  if (!check) await Deno.writeTextFile(MODULE, source);
  else if (source !== await Deno.readTextFile(MODULE)) {
    console.error("src/backends/wasm/module.ts is not what the sources give: run `deno task wasm`");
    Deno.exit(1);
  }
}
