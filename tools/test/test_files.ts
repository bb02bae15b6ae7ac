// Finds the test files, and reads the directives in the comment at the head of each:
//
//     // Full suite: it drives a browser.
//     // Limit: 15 minutes.
//
// The first keeps a file out of `deno task test`, and says why; the second gives it more time in the full
// suite than others have there.

/** Something that one process runs. */
export interface TestFile {
  /** Its path from the root, or what to call it. */
  readonly name: string;
  /** The arguments for `deno test`. */
  readonly args: readonly string[];
  /** Why it is left to the full suite; null where it is not. */
  readonly fullSuite: string | null;
  /** Its own limit in the full suite, in seconds; null for that of all. */
  readonly limitSeconds: number | null;
}

/** The examples of the documentation, which are run together. */
export const EXAMPLES = "examples of the documentation";

/**
 * All that there is below `root`: files that ask for time first, the others by name, the examples before
 * them.
 */
export async function findTestFiles(root: URL): Promise<TestFile[]> {
  const examples = await findExamples(root);
  const files: TestFile[] = examples.length === 0 ? [] : [toExamples(EXAMPLES, examples)];
  for (const path of await listFiles(root, "tests/")) {
    if (path.endsWith("_test.ts")) files.push(await readTestFile(root, path));
  }
  return files.sort((a, b) => (b.limitSeconds ?? 0) - (a.limitSeconds ?? 0));
}

/** Those that the paths name; one that names none is given back as it is. */
export async function selectTestFiles(
  root: URL,
  files: readonly TestFile[],
  paths: readonly string[],
): Promise<{ selected: TestFile[]; unknown: string[] }> {
  const selected = new Map<string, TestFile>(), unknown: string[] = [];
  for (const given of paths) {
    const path = given.replace(/^\.\//, "").replaceAll("\\", "/");
    const matches = files.filter(({ name }) => name.includes(path));
    if (matches.length === 0 && await hasExamples(root, path)) {
      matches.push(toExamples(`examples of ${path}`, [path]));
    }
    if (matches.length === 0) unknown.push(given);
    for (const file of matches) selected.set(file.name, file);
  }
  return { selected: [...selected.values()], unknown };
}

/** Reads the directives of a test file. */
export function readHead(text: string): Pick<TestFile, "fullSuite" | "limitSeconds"> {
  const head = /^(?:\/\/.*\n)*/.exec(text)![0];
  const reason = /^\/\/ Full suite: (.+)$/m.exec(head)?.[1] ?? null;
  const [, count, unit] = /^\/\/ Limit: (\d+) (seconds|minutes)\.?$/m.exec(head) ?? [];
  const limitSeconds = count === undefined ? null : Number(count) * (unit === "minutes" ? 60 : 1);
  return { fullSuite: reason, limitSeconds };
}

async function readTestFile(root: URL, path: string): Promise<TestFile> {
  return {
    name: path,
    args: ["--no-check", path],
    ...readHead(await Deno.readTextFile(new URL(path, root))),
  };
}

function toExamples(name: string, paths: readonly string[]): TestFile {
  return { name, args: ["--doc", ...paths], fullSuite: null, limitSeconds: null };
}

/** Pages and published sources with an example that runs. */
async function findExamples(root: URL): Promise<string[]> {
  const top = await Array.fromAsync(Deno.readDir(root));
  const paths = [
    ...top.filter(({ name, isFile }) => isFile && /\.(md|ts)$/.test(name)).map(({ name }) => name),
    ...await listFiles(root, "docs/"),
    ...await listFiles(root, "src/"),
  ].filter((path) => /\.(md|ts)$/.test(path) && !path.startsWith("studies/"));
  const found: string[] = [];
  for (const path of paths.sort()) {
    if (await hasExamples(root, path)) found.push(path);
  }
  return found;
}

async function hasExamples(root: URL, path: string): Promise<boolean> {
  try {
    return /^\s*(\* )?```[jt]s\s*$/m.test(await Deno.readTextFile(new URL(path, root)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.IsADirectory) return false;
    throw error;
  }
}

/** Paths of all files in a folder and below, sorted; none where there is no such folder. */
async function listFiles(root: URL, folder: string): Promise<string[]> {
  const paths: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      if (isDirectory) paths.push(...await listFiles(root, `${folder}${name}/`));
      else paths.push(`${folder}${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return paths.sort();
}
