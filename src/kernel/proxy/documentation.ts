/**
 * The documentation of the names of a module, by `deno doc`.
 *
 * Invariant: nothing of a module is run, and each name is looked up once.
 */

/** Looks names up. */
export class Documentation {
  readonly #found = new Map<string, Promise<string | null>>();

  /** The signature and the words about a name, as "DynamicAttention.setKey"; null where there are none. */
  of(module: string, name: string): Promise<string | null> {
    const key = `${module} ${name}`;
    const known = this.#found.get(key);
    if (known) return known;
    const looking = readDocumentation(module, name);
    this.#found.set(key, looking);
    return looking;
  }
}

async function readDocumentation(module: string, name: string): Promise<string | null> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--quiet", "--filter", name, module],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stderr: "null",
  }).output();
  // Before what was asked for comes what is said of the module as a whole, after it the next declaration.
  const [, ...found] = new TextDecoder().decode(stdout).split(/^Defined in .*\n/m);
  return success && found.length > 0 ? found.map((text) => text.trim()).join("\n\n") : null;
}
