// `deno task notebook`: gives Jupyter a Deno kernel and opens this folder in it; without Jupyter says how to get it.

const folder = new URL(".", import.meta.url);

/** Runs a program with the terminal's streams; null when there is no such program. */
async function run(program: string, args: string[]): Promise<number | null> {
  try {
    return (await new Deno.Command(program, { args, cwd: folder, stdin: "inherit" }).spawn().status).code;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

const installed = await run(Deno.execPath(), ["jupyter", "--install", "--force"]);
if (installed !== 0) Deno.exit(installed ?? 1);
const opened = await run("jupyter", ["notebook", ...Deno.args]);
if (opened === null) {
  console.error(
    "Jupyter is missing: get it with `apt-get install jupyter-notebook` or `pip install notebook`",
  );
}
Deno.exit(opened ?? 1);
