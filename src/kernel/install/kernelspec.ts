/**
 * Puts a kernelspec where Jupyter finds it, and takes it away
 * (https://jupyter-client.readthedocs.io/en/stable/kernels.html#kernel-specs).
 *
 * Invariant: a kernelspec that was not installed by this one is neither overwritten nor removed, and nothing is written
 * through a link that somebody has put there.
 */

import { KernelError } from "../errors.ts";
import { userDataFolder } from "./data_folders.ts";
import { lastingProgram } from "./program.ts";
import { iconPng, iconSvg } from "./icons.ts";

/** Which kernelspec, and where. */
export interface PlaceOptions {
  /** The name of its folder; "attune" unless given. */
  readonly name?: string;
  /** `PREFIX/share/jupyter` instead of the user's own folder. */
  readonly prefix?: string;
}

/** How to install. */
export interface InstallOptions extends PlaceOptions {
  /** The name that people choose; "Deno (Attune)" unless given. */
  readonly display?: string;
  /** The options that the kernel is started with, beside its connection file. */
  readonly startArguments?: readonly string[];
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const MAIN = new URL("../main.ts", import.meta.url);

/** Installs it, also over an older one; says where. */
export async function installKernelspec(options: InstallOptions = {}): Promise<string> {
  const { display = "Deno (Attune)", startArguments = [] } = options;
  const folder = folderOf("installKernelspec", options);
  await refuseForeign("installKernelspec", folder);
  await Deno.mkdir(folder, { recursive: true });
  const main = MAIN.protocol === "file:" ? pathOf(MAIN) : MAIN.href;
  const lock = await lockText();
  if (lock !== null) await write(`${folder}/deno.lock`, lock);
  const spec = {
    argv: [
      await lastingProgram(shareFolder(options)),
      ...["run", "--quiet", "--allow-all", "--no-config"],
      ...(lock === null ? ["--no-lock"] : ["--frozen", `--lock=${folder}/deno.lock`]),
      main,
      ...["start", "{connection_file}", ...startArguments],
    ],
    display_name: display,
    language: "typescript",
    interrupt_mode: "message",
    // The npm packages of a notebook's folder are for its cells, not for the proxy.
    env: { DENO_NO_PACKAGE_JSON: "1" },
    metadata: { attune: { main } },
  };
  await write(`${folder}/kernel.json`, `${JSON.stringify(spec, null, 1)}\n`);
  for (const size of [32, 64]) await write(`${folder}/logo-${size}x${size}.png`, iconPng(size));
  await write(`${folder}/logo-svg.svg`, iconSvg());
  return folder;
}

/** Removes it; says from where. Throws a `KernelError` when it is not there. */
export async function uninstallKernelspec(options: PlaceOptions = {}): Promise<string> {
  const operation = "uninstallKernelspec";
  const folder = folderOf(operation, options);
  if (await readSpec(folder) === null) {
    throw new KernelError(operation, `there is no kernelspec in ${folder}`);
  }
  await refuseForeign(operation, folder);
  await Deno.remove(folder, { recursive: true });
  return folder;
}

/** The versions of what the kernel needs from npm, where this is a clone that knows them; null elsewhere. */
async function lockText(): Promise<string | null> {
  if (MAIN.protocol !== "file:") return null;
  try {
    return await Deno.readTextFile(new URL("../../locks/kernel.lock", MAIN));
  } catch {
    return null;
  }
}

/** Writes a file anew: what was there, a link say, is not followed. */
async function write(path: string, content: string | Uint8Array): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await Deno.writeFile(path, bytes, { createNew: true });
}

/** Beside Jupyter's folder. */
function shareFolder({ prefix }: PlaceOptions): string {
  const data = prefix === undefined ? userDataFolder() : `${prefix.replace(/[/\\]$/, "")}/share/jupyter`;
  return `${data.replace(/[/\\][^/\\]*$/, "")}/attune`;
}

function folderOf(operation: string, { name = "attune", prefix }: PlaceOptions): string {
  if (!NAME.test(name)) {
    throw new KernelError(
      operation,
      `the name is ${JSON.stringify(name)}, expected letters, digits, ".", "-" and "_"`,
    );
  }
  const data = prefix === undefined ? userDataFolder() : `${prefix.replace(/[/\\]$/, "")}/share/jupyter`;
  return `${data}/kernels/${name.toLowerCase()}`;
}

async function refuseForeign(operation: string, folder: string): Promise<void> {
  const info = await Deno.lstat(folder).catch(() => null);
  if (info?.isSymlink) throw new KernelError(operation, `${folder} is a link, expected a folder or nothing`);
  const spec = await readSpec(folder);
  if (spec === null || isOurs(spec)) return;
  throw new KernelError(operation, `the kernelspec in ${folder} is of another kernel, expected none or ours`);
}

/** Whether a kernelspec starts what it says to be: one that only mentions the name is another's. */
function isOurs(text: string): boolean {
  try {
    const { argv, metadata } = JSON.parse(text) as {
      argv?: unknown;
      metadata?: { attune?: { main?: unknown } };
    };
    const main = metadata?.attune?.main;
    return typeof main === "string" && Array.isArray(argv) && argv.includes(main);
  } catch {
    return false;
  }
}

async function readSpec(folder: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(`${folder}/kernel.json`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function pathOf(url: URL): string {
  const path = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? path.slice(1).replaceAll("/", "\\") : path;
}
