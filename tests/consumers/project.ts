// A project outside of the repository that uses the library: a folder of its own, its own configuration, and the
// names that users import, mapped to the files of this working tree.

const ROOT = new URL("../../", import.meta.url);

/** The library's entry points: from the name that a user imports to the file of this working tree. */
export const ENTRY_POINTS: Readonly<Record<string, URL>> = await readEntryPoints();

/** A program that imports every entry point. */
export const IMPORT_ALL: string = Object.keys(ENTRY_POINTS)
  .map((name, at) => `import * as entry${at} from "${name}";\nconsole.log(typeof entry${at});`)
  .join("\n");

async function readEntryPoints(): Promise<Record<string, URL>> {
  const config: unknown = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const { name, exports } = config as { name: string; exports: Record<string, string> };
  return Object.fromEntries(
    Object.entries(exports).map(([path, file]) => [`${name}${path.slice(1)}`, new URL(file, ROOT)]),
  );
}

/** How a command ended, and all that it printed. */
export interface Ending {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A project in a temporary folder. */
export class ConsumerProject implements AsyncDisposable {
  /** Where it is. */
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes one of some files; its compiler options are Deno's own unless given. */
  static async create(
    files: Readonly<Record<string, string>>,
    compilerOptions: Readonly<Record<string, unknown>> = {},
  ): Promise<ConsumerProject> {
    const project = new ConsumerProject(await Deno.makeTempDir({ prefix: "attune-consumer-" }));
    const imports = Object.fromEntries(Object.entries(ENTRY_POINTS).map(([name, { href }]) => [name, href]));
    await project.write("deno.json", JSON.stringify({ imports, compilerOptions }));
    for (const [name, text] of Object.entries(files)) await project.write(name, text);
    return project;
  }

  /** Writes a file of the project. */
  async write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/${name}`, text);
  }

  /** Runs Deno in the project. */
  deno(...args: readonly string[]): Promise<Ending> {
    return this.run(Deno.execPath(), args);
  }

  /** Runs a program in the project. npm asks for a lost answer again, and says nothing of newer versions of itself. */
  async run(program: string, args: readonly string[]): Promise<Ending> {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      cwd: this.folder,
      env: { NO_COLOR: "1", NPM_CONFIG_FETCH_RETRIES: "5", NPM_CONFIG_UPDATE_NOTIFIER: "false" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}
