/**
 * A Jupyter kernel for Deno in which widgets answer, the stop button stops, and no output is lost.
 *
 * ```sh
 * deno run -A jsr:@attune/attention/kernel install
 * ```
 *
 * | command | what it does |
 * |---|---|
 * | `install` | puts the kernelspec where Jupyter finds it; `--name`, `--display`, `--prefix`, `--allow-…`, `--widgets` |
 * | `uninstall` | takes it away; `--name`, `--prefix` |
 * | `start FILE` | what Jupyter calls: runs a kernel for a connection file |
 *
 * @module
 */

import { KernelError, ProtocolError } from "./errors.ts";
import { type Arguments, parseArguments } from "./install/arguments.ts";
import { userDataFolder } from "./install/data_folders.ts";
import { findFrontEnd } from "./install/front_end.ts";
import { installKernelspec, uninstallKernelspec } from "./install/kernelspec.ts";
import { parseConnection } from "./protocol/connection.ts";
import { hasConfiguration, packageAddresses } from "./packages.ts";

const USAGE = `usage:
  install [--name=attune] [--display="Deno (Attune)"] [--prefix=FOLDER] [--allow-read …] [--widgets=6|7|8|anywidget]
  uninstall [--name=attune] [--prefix=FOLDER]
  start CONNECTION_FILE`;
/** Between looks whether the one who started the kernel is still there. */
const PARENT_MS = 1000;

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(USAGE);
    return 0;
  }
  try {
    const parsed = parseArguments(args);
    const [command, file] = parsed.words;
    if (command === "install") return await install(parsed);
    if (command === "uninstall") {
      console.log(`removed ${await uninstallKernelspec(parsed)}`);
      return 0;
    }
    if (command === "start" && file !== undefined) return await start(file, parsed);
    console.error(USAGE);
    return 2;
  } catch (error) {
    if (!(error instanceof KernelError || error instanceof ProtocolError)) throw error;
    console.error(error.message);
    return 1;
  }
}

/** Beside what belongs to Jupyter; `ATTUNE_HISTORY=0` keeps none. */
function historyOf(): { historyFile?: string } {
  if (Deno.env.get("ATTUNE_HISTORY") === "0") return {};
  try {
    return { historyFile: `${userDataFolder()}/attune-history.jsonl` };
  } catch {
    return {};
  }
}

async function install(options: Arguments): Promise<number> {
  // The packages that it needs from npm are fetched now, not when the first notebook is opened.
  await import("./proxy/proxy.ts");
  const { ipywidgets, anywidget } = options.widgets ?? await findFrontEnd();
  console.log(`installed in ${await installKernelspec(options)}`);
  const found = [
    ...(ipywidgets === null ? [] : [`ipywidgets ${ipywidgets}`]),
    ...(anywidget ? ["anywidget"] : []),
  ];
  console.log(`widgets: ${found.length > 0 ? found.join(", ") : "no front end for them was found"}`);
  return 0;
}

async function start(file: string, { permissions, widgets }: Arguments): Promise<number> {
  const connection = parseConnection(await Deno.readTextFile(file));
  // This variable is for this program alone.
  Deno.env.delete("DENO_NO_PACKAGE_JSON");
  // The stock kernel takes longest to start, so everything else is found and loaded meanwhile.
  const { EarlyProcess } = await import("./proxy/early_process.ts");
  const early = new EarlyProcess();
  await using ending = new AsyncDisposableStack();
  ending.defer(() => early.giveUp());
  const [{ KernelProxy }, packages, hasOwnMap, frontEnd] = await Promise.all([
    import("./proxy/proxy.ts"),
    packageAddresses(Deno.cwd()),
    hasConfiguration(Deno.cwd()),
    widgets ?? findFrontEnd(),
  ]);
  await using proxy = await KernelProxy.start(connection, {
    packages,
    ...historyOf(),
    hasOwnMap,
    permissions,
    frontEnd,
    early,
  });
  const { promise: told, resolve } = Promise.withResolvers<number>();
  // The front end stops cells by messages; a signal of its terminal is not meant for the kernel.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.addSignalListener(Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM", () => resolve(0));
  // Jupyter says who it is where it is the parent; elsewhere the parent may be a shell that has done its work.
  const parent = Deno.ppid, isFrontEnd = Deno.env.get("JPY_PARENT_PID") === String(parent);
  const timer = setInterval(() => isFrontEnd && Deno.ppid !== parent && resolve(1), PARENT_MS);
  try {
    return await Promise.race([proxy.ended, told]);
  } finally {
    clearInterval(timer);
  }
}
