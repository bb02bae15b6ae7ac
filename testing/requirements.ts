// Programs that some tests need and that a machine may lack. Where one is missing its tests are skipped, with
// a line that says so; in strict mode (ATTUNE_STRICT=1, as in CI) they fail, so that no suite is green for
// want of what it should have tested.

/** Whether random tests run at full length: ATTUNE_LONG=1, as `deno task test:full` sets it. */
export const IS_LONG: boolean = Deno.env.get("ATTUNE_LONG") === "1";

/** What `Deno.test` is to be told. */
export interface Availability {
  readonly ignore: boolean;
}

/** The path of the first of these programs on PATH, or undefined. */
export function findProgram(...names: readonly string[]): string | undefined {
  return findPrograms(names)[0];
}

/** The first Python that has a module; a machine may have several. */
export function findPython(module: string): string | undefined {
  return findPrograms(["python3"]).find((path) =>
    new Deno.Command(path, { args: ["-c", `import ${module}`], stdout: "null", stderr: "null" }).outputSync()
      .success
  );
}

function findPrograms(names: readonly string[]): string[] {
  const isWindows = Deno.build.os === "windows";
  const folders = (Deno.env.get("PATH") ?? "").split(isWindows ? ";" : ":").filter((folder) => folder !== "");
  const files = names.map((name) => isWindows ? `${name}.exe` : name);
  return files.flatMap((file) => folders.map((folder) => `${folder}/${file}`)).filter(isFile);
}

/**
 * Whether tests that need the program `name` can run: `path` is where it was found, `remedy` says how to get
 * it.
 *
 * @throws {Error} When it is missing in strict mode.
 *
 * @example
 * ```ts ignore
 * const chromium = findProgram("chromium", "google-chrome");
 * Deno.test({
 *   name: "the page draws",
 *   ...requires("chromium", chromium, "apt-get install chromium"),
 *   fn: () => draw(chromium),
 * });
 * ```
 */
export function requires(
  name: string,
  path: string | undefined,
  remedy: string,
  strict: boolean = Deno.env.get("ATTUNE_STRICT") === "1",
): Availability {
  if (path !== undefined) return { ignore: false };
  const lack = `${name} is missing, get it with: ${remedy}`;
  if (strict) throw new Error(`${lack} (ATTUNE_STRICT=1)`);
  console.warn(`Tests are skipped: ${lack}`);
  return { ignore: true };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
