// From a module to one script for browsers, by Deno's own bundler, which takes esbuild from npm.

import { fileURLToPath } from "node:url";

/** Options of a bundle: the imports that remain, and minification. */
export interface BundleOptions {
  /** Specifiers, as they are written in the sources, whose modules stay out. */
  readonly external?: readonly string[];
  /** Whether names and spaces are shortened; true unless given. */
  readonly minify?: boolean;
  /** A module unless given, or a script that is one function called at once. */
  readonly format?: "esm" | "iife";
}

/**
 * The text of the module `entry` with all that it imports.
 *
 * @throws {Error} When a module cannot be bundled, or nothing imports a file that is to stay out: a name that
 * no longer holds would put in what is not wanted. Or when such a file is not loaded on demand: the script would
 * not start.
 */
export async function bundle(entry: URL, options: BundleOptions = {}): Promise<string> {
  const { external = [], minify = true, format = "esm" } = options;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform", "browser", "--format", format, ...minify ? ["--minify"] : []],
      ...external.map((specifier) => `--external=${specifier}`),
      fileURLToPath(entry),
    ],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success || stdout.length === 0) {
    throw new Error(`bundle: ${fileURLToPath(entry)} cannot be bundled\n${text(stderr)}`);
  }
  const script = text(stdout);
  const unknown = external.find((specifier) =>
    !specifier.includes("*") && !script.includes(`"${specifier}"`)
  );
  if (unknown !== undefined) {
    throw new Error(`bundle: nothing in ${fileURLToPath(entry)} imports ${unknown}, which is to stay out`);
  }
  const early = external.find((specifier) =>
    specifier.startsWith("./") && isImportedAtOnce(script, specifier)
  );
  if (early !== undefined) {
    throw new Error(
      `bundle: ${early} is imported before anything runs, expected on demand where it stays out`,
    );
  }
  return script;
}

/** Whether a module is not only loaded on demand, so that a script without it does not start. */
function isImportedAtOnce(script: string, specifier: string): boolean {
  return script.split(`"${specifier}"`).length > script.split(`import("${specifier}")`).length;
}
