// A folder of a test's own, for a durable memory that is not there yet.

/** Runs with a path at which nothing is, and removes what was made there. */
export async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(`${folder}/memory`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
