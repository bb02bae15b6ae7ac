// Jupyter's own converter, in a home of its own, where the kernel that notebooks name is ours.

import { fileURLToPath } from "node:url";
import { assert } from "./assert.ts";
import { installKernel, jupyterHome } from "./kernel/notebook_server.ts";
import { type Availability, findProgram, requires } from "./requirements.ts";

const jupyter = findProgram("jupyter");

/** Whether it is there. */
export function requiresJupyter(): Availability {
  return requires("jupyter", jupyter, "apt-get install jupyter-nbconvert python3-nbclient");
}

/**
 * Runs nbconvert on a notebook and gives its result to `use`; throws when a cell does. With `--execute` it
 * runs in our kernel: under the stock one the last output of a cell may be lost.
 */
export async function convert(notebook: URL, to: string[], use: (file: URL) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    // As which the notebooks know the stock kernel.
    if (to.includes("--execute")) await installKernel(home, "--name=deno");
    const output = `${home}/output`;
    const { success, stderr } = await new Deno.Command(jupyter as string, {
      args: ["nbconvert", ...to, "--output-dir", output, "--output", "converted", fileURLToPath(notebook)],
      cwd: new URL(".", notebook),
      env: { ...jupyterHome(home), NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const [{ name: file }] = Deno.readDirSync(output);
    await use(new URL(`file://${output}/${file}`));
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
