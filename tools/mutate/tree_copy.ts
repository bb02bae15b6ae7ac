// A copy of the working tree in a folder of its own, in which a source may be changed.

/** A copy, until it is disposed. */
export class TreeCopy {
  /** Where it is. */
  readonly root: URL;

  private constructor(root: URL) {
    this.root = root;
  }

  /** Copies these files, given by paths from `root`. */
  static async of(root: URL, paths: readonly string[]): Promise<TreeCopy> {
    const folder = await Deno.makeTempDir({ prefix: "attune-mutate-" });
    const copy = new TreeCopy(new URL(`file://${folder}/`));
    for (const path of paths) {
      const target = new URL(path, copy.root);
      await Deno.mkdir(new URL(".", target), { recursive: true });
      await Deno.copyFile(new URL(path, root), target);
    }
    return copy;
  }

  /** Does something while a file has another text. */
  async withText<T>(path: string, text: string, act: () => Promise<T>): Promise<T> {
    const file = new URL(path, this.root);
    const before = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text);
    try {
      return await act();
    } finally {
      await Deno.writeTextFile(file, before);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

/** The files of the working tree that git does not ignore, by paths from `root`. */
export async function listTree(root: URL): Promise<string[]> {
  const { stdout, stderr, success } = await new Deno.Command("git", {
    args: ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
    cwd: root,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const paths = new TextDecoder().decode(stdout).split("\0").filter((path) => path !== "");
  const isThere = (path: string) => Deno.stat(new URL(path, root)).then(({ isFile }) => isFile, () => false);
  const there = await Promise.all(paths.map(isThere));
  return paths.filter((_, at) => there[at]);
}
