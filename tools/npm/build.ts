// From the sources to the package for npm: modules with declarations for Node and bundlers, and one minified file for
// `<script type="module">`. `deno pack` writes the modules, Deno's bundler the file, `npm pack` the tarball.
//
// Invariant: the package has the entry points that need no Deno, and depends on nothing.

import { fileURLToPath } from "node:url";
import { bundle } from "../bundle.ts";

const ROOT = new URL("../../", import.meta.url);
/** The entry points that run on Node and in browsers; the others need Deno. */
export const ENTRY_POINTS: readonly string[] = [".", "./learning", "./store"];
/** The file for `<script type="module">`, with everything that {@link ENTRY_POINTS} export. */
export const SCRIPT = "attune.min.js";
/** Names that declarations use, and the library of TypeScript's that has them. */
const LIBRARIES: readonly (readonly [name: RegExp, library: string])[] = [
  [/\bSymbol\.(asyncDispose|dispose)\b/, "esnext.disposable"],
  [/\bErrorOptions\b/, "es2022.error"],
];
/** The oldest Node that the package is tested on. */
export const OLDEST_NODE = 20;

/** What there is of the package once it is built. */
export interface NpmPackage {
  /** The path of the tarball. */
  readonly tarball: string;
  /** Bytes of the tarball, as they are fetched. */
  readonly tarballBytes: number;
  /** Bytes of the package in `node_modules`. */
  readonly installedBytes: number;
  /** Bytes of {@link SCRIPT}. */
  readonly scriptBytes: number;
  /** Bytes of {@link SCRIPT} as a server sends them, compressed by gzip. */
  readonly scriptGzipBytes: number;
}

/** What the package needs to know of `deno.json`. */
interface Config {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly compilerOptions: object;
}

/** How a package is built. */
export interface NpmOptions {
  /** The address of the repository, which npm holds against the build's provenance; left out unless given. */
  readonly repository?: string;
}

/**
 * Builds the package and puts its tarball into `folder`.
 *
 * @throws {Error} When a command fails, or `deno pack` asks for a dependency.
 */
export async function buildPackage(folder: string, { repository }: NpmOptions = {}): Promise<NpmPackage> {
  const config: Config = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const work = await Deno.makeTempDir({ prefix: "attune-npm-" });
  try {
    await writeSources(`${work}/sources`, config);
    await run(`${work}/sources`, Deno.execPath(), [
      ...["pack", "--quiet", "--allow-dirty", "--no-source-maps", "--output=modules.tgz"],
    ]);
    await run(work, "tar", ["xzf", "sources/modules.tgz"]);
    const script = await bundleScript(config);
    await Deno.writeTextFile(`${work}/package/${SCRIPT}`, script);
    await nameLibraries(`${work}/package`);
    await amendManifest(`${work}/package/package.json`, repository);
    await Deno.mkdir(folder, { recursive: true });
    const printed = await run(`${work}/package`, "npm", ["pack", "--json", `--pack-destination=${folder}`]);
    const [{ filename, size, unpackedSize }] = JSON.parse(printed);
    return {
      tarball: `${folder}/${filename}`,
      tarballBytes: size,
      installedBytes: unpackedSize,
      scriptBytes: new TextEncoder().encode(script).length,
      scriptGzipBytes: await gzipLength(script),
    };
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** A copy of the published sources whose configuration names no more than the package has. */
async function writeSources(folder: string, config: Config): Promise<void> {
  await Deno.mkdir(folder);
  const files = ["mod.ts", "README.md", "CHANGELOG.md", "LICENSE"];
  for (const file of files) await Deno.copyFile(new URL(file, ROOT), `${folder}/${file}`);
  await run(folder, "cp", ["-r", fileURLToPath(new URL("src", ROOT)), "src"]);
  const { name, version, license, compilerOptions } = config;
  const exports = Object.fromEntries(ENTRY_POINTS.map((point) => [point, config.exports[point]]));
  const publish = { include: files.filter((file) => !file.endsWith(".ts")) };
  await Deno.writeTextFile(
    `${folder}/deno.json`,
    JSON.stringify({ name, version, license, exports, compilerOptions, publish }),
  );
}

/** The text of {@link SCRIPT}. */
async function bundleScript({ exports }: Config): Promise<string> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const lines = ENTRY_POINTS.map((point) => `export * from "${new URL(exports[point], ROOT).href}";`);
    await Deno.writeTextFile(entry, lines.join("\n"));
    return await bundle(new URL(`file://${entry}`));
  } finally {
    await Deno.remove(entry);
  }
}

/** Has each declaration name the libraries that it needs, since a project's own may be older and those of a browser. */
async function nameLibraries(folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) await nameLibraries(path);
    if (!name.endsWith(".d.ts")) continue;
    const text = await Deno.readTextFile(path);
    const needed = LIBRARIES.filter(([name]) => name.test(text));
    const lines = needed.map(([, library]) => `/// <reference lib="${library}" />\n`);
    if (lines.length > 0) await Deno.writeTextFile(path, lines.join("") + text);
  }
}

/** Adds to `package.json` what `deno pack` doesn't write. */
async function amendManifest(file: string, repository: string | undefined): Promise<void> {
  const manifest = JSON.parse(await Deno.readTextFile(file));
  const dependencies = Object.keys(manifest.dependencies ?? {});
  if (dependencies.length > 0) {
    throw new Error(`npm: the package would depend on ${dependencies.join(", ")}, expected nothing`);
  }
  manifest.exports[`./${SCRIPT}`] = `./${SCRIPT}`;
  const amended = {
    ...manifest,
    description: "Attention that stays current while keys and values change: exact reads, cheap edits",
    keywords: ["attention", "softmax", "online-learning", "incremental", "wasm", "recommender", "deno"],
    engines: { node: `>=${OLDEST_NODE}` },
    sideEffects: false,
    unpkg: `./${SCRIPT}`,
    jsdelivr: `./${SCRIPT}`,
    ...repository === undefined ? {} : { repository: { type: "git", url: `git+${repository}.git` } },
  };
  await Deno.writeTextFile(file, JSON.stringify(amended, null, 2) + "\n");
}

async function gzipLength(text: string): Promise<number> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(stream).arrayBuffer()).byteLength;
}

/** Runs a command to its end and gives what it printed. */
async function run(folder: string, program: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`npm: ${program} ${args.join(" ")} failed\n${text(stderr)}`);
  return text(stdout);
}
