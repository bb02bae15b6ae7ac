// Jupyter's own converter, with a kernel specification that starts this Deno.

import { assert } from "../assert.ts";
import { type Availability, findProgram, requires } from "../requirements.ts";

const jupyter = findProgram("jupyter");

/** Whether it is there. */
export function requiresJupyter(): Availability {
  return requires("jupyter", jupyter, "apt-get install jupyter-nbconvert python3-nbclient");
}

/** A folder with a kernel specification that starts this Deno. */
async function kernelPath(): Promise<string> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/kernels/deno`, { recursive: true });
  const specification = {
    argv: [Deno.execPath(), "jupyter", "--kernel", "--conn", "{connection_file}"],
    display_name: "Deno",
    language: "typescript",
  };
  await Deno.writeTextFile(`${folder}/kernels/deno/kernel.json`, JSON.stringify(specification));
  return folder;
}

/** Runs nbconvert on a notebook and gives its result to `use`; throws when a cell does. */
export async function convert(
  notebook: URL,
  to: string[],
  use: (file: URL) => Promise<void>,
): Promise<void> {
  const specification = await kernelPath();
  const output = await Deno.makeTempDir();
  try {
    const { success, stderr } = await new Deno.Command(jupyter as string, {
      args: ["nbconvert", ...to, "--output-dir", output, "--output", "converted", notebook.pathname],
      cwd: new URL(".", notebook),
      env: { JUPYTER_PATH: specification, NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const [{ name: file }] = Deno.readDirSync(output);
    await use(new URL(`file://${output}/${file}`));
  } finally {
    await Deno.remove(output, { recursive: true });
    await Deno.remove(specification, { recursive: true });
  }
}
