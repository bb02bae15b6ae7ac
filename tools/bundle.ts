// From a module to one script for browsers, by Deno's own bundler, which takes esbuild from npm.

/** What to leave as it is, and how small to write. */
export interface BundleOptions {
  /** Specifiers, as they are written in the sources, whose modules stay out. */
  readonly external?: readonly string[];
  /** Whether names and spaces are shortened; true unless given. */
  readonly minify?: boolean;
}

/** The text of the module `entry` with all that it imports. */
export async function bundle(
  entry: URL,
  { external = [], minify = true }: BundleOptions = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform", "browser", "--format", "esm", ...minify ? ["--minify"] : []],
      ...external.flatMap((specifier) => ["--external", specifier]),
      entry.pathname,
    ],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`bundle: ${entry.pathname} cannot be bundled\n${text(stderr)}`);
  return text(stdout);
}
