// `deno task notebook`: gives Jupyter a Deno kernel and opens this folder in it; without Jupyter says how to get it.
// Arguments are handed on: `deno task notebook --no-browser`.

const folder = new URL(".", import.meta.url);
const HOW = "Jupyter is missing: get it with `apt-get install jupyter-notebook` or `pip install notebook`";

/** Whether a program is there and does what it is asked. */
async function succeeds(program: string, args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Runs a program with the terminal's streams to its end, which is its own affair: signals go to it. */
async function run(program: string, args: string[]): Promise<number> {
  const child = new Deno.Command(program, { args, cwd: folder, stdin: "inherit" }).spawn();
  // Jupyter asks whether an interrupt was meant; until it has the answer, its parent stays.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.addSignalListener("SIGTERM", () => child.kill("SIGTERM"));
  return (await child.status).code;
}

const application = await succeeds("jupyter", ["notebook", "--version"])
  ? "notebook"
  : await succeeds("jupyter", ["lab", "--version"])
  ? "lab"
  : null;
if (application === null) {
  console.error(HOW);
  Deno.exit(1);
}
// A kernel that the user has, with arguments of its own perhaps, stays as it is.
if (!await succeeds("sh", ["-c", "jupyter kernelspec list --json | grep -q '\"deno\":'"])) {
  const install = new Deno.Command(Deno.execPath(), {
    args: ["jupyter", "--install"],
    stdout: "null",
    stderr: "piped",
  });
  const { success, stderr } = await install.output();
  if (!success) {
    console.error(new TextDecoder().decode(stderr));
    Deno.exit(1);
  }
}
Deno.exit(await run("jupyter", [application, ...Deno.args]));
