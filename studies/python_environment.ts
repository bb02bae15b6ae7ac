// A virtual environment of Python for a task that compares with Python's libraries. The task makes it in a
// folder that git ignores; no user needs it.

/** Runs a program to its end; its progress goes to standard error, and its output is returned. */
export async function runProgram(program: string, args: readonly string[]): Promise<string> {
  const { success, code, stdout } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")} ended with ${code}, expected 0`);
  return new TextDecoder().decode(stdout);
}

/** The Python of the environment in `folder`, with the packages that the file `requirements` names. */
export async function preparePython(folder: URL, requirements: URL): Promise<string> {
  const python = new URL("bin/python", folder).pathname;
  const isMade = await Deno.stat(python).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  });
  if (!isMade) await runProgram("python3", ["-m", "venv", folder.pathname]);
  await runProgram(python, ["-m", "pip", "install", "--quiet", "--requirement", requirements.pathname]);
  return python;
}
