// Jupyter's own server in a home of its own, with our kernel installed in it.

import type { Page } from "playwright-core";
import { denoFolder, startJupyter } from "../jupyter_server.ts";

const MAIN = new URL("../../src/kernel/main.ts", import.meta.url).pathname;

/** The environment of a home, in which Jupyter finds nothing of anybody else. */
export function jupyterHome(home: string): Record<string, string> {
  return {
    HOME: home,
    DENO_DIR: denoFolder(),
    JUPYTER_CONFIG_DIR: `${home}/config`,
    JUPYTER_DATA_DIR: `${home}/data`,
    JUPYTER_RUNTIME_DIR: `${home}/runtime`,
  };
}

/** Installs our kernel in a home. */
export async function installKernel(home: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", MAIN, "install", ...args],
    env: jupyterHome(home),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(text(stderr));
  return text(stdout);
}

/** A notebook of code cells. */
export function notebookOf(...sources: string[]): string {
  return JSON.stringify({
    cells: sources.map((source) => ({
      cell_type: "code",
      execution_count: null,
      metadata: {},
      outputs: [],
      source,
    })),
    metadata: { kernelspec: { name: "attune", display_name: "Deno (Attune)", language: "typescript" } },
    nbformat: 4,
    nbformat_minor: 4,
  });
}

/** A running server. */
export interface NotebookServer extends AsyncDisposable {
  readonly home: string;
  /** Where it is, without its key. */
  readonly origin: string;
  /** Its key, as it stands in addresses. */
  readonly search: string;
  /** Opens a notebook that was put into the home. */
  open(page: Page, name: string): Promise<void>;
}

/** Starts Notebook 6. */
export async function startNotebookServer(): Promise<NotebookServer> {
  return await startServer("jupyter", ["notebook"], "--notebook-dir", async (page, origin, search, name) => {
    await page.goto(`${origin}/notebooks/${name}${search}`);
    await page.waitForFunction("globalThis.Jupyter?.notebook?.kernel?.is_connected()", null, {
      timeout: 120_000,
    });
    await page.evaluate("Jupyter.notebook.set_autosave_interval(0)");
  });
}

/** Starts JupyterLab or Notebook 7, by their programs; pages find its objects as `jupyterapp`. */
export async function startLabServer(program: string, kind: "lab" | "notebook"): Promise<NotebookServer> {
  const path = kind === "lab" ? "lab/tree" : "notebooks";
  const app = kind === "lab" ? "LabApp" : "JupyterNotebookApp";
  const words = [`--${app}.expose_app_in_browser=True`];
  return await startServer(program, words, "--ServerApp.root_dir", async (page, origin, search, name) => {
    await page.goto(`${origin}/${path}/${name}${search}`);
    await page.locator(".jp-Notebook .jp-CodeCell").first().waitFor({ timeout: 120_000 });
    // What is run before the kernel has said that it is there is not run at all.
    await page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').first().waitFor({
      timeout: 120_000,
    });
  });
}

async function startServer(
  program: string,
  words: readonly string[],
  folderOption: string,
  open: (page: Page, origin: string, search: string, name: string) => Promise<void>,
): Promise<NotebookServer> {
  const home = await Deno.makeTempDir();
  await using started = new AsyncDisposableStack();
  started.defer(() => Deno.remove(home, { recursive: true }));
  await installKernel(home);
  const { address } = started.use(
    await startJupyter(program, {
      args: [...words, "--no-browser", "--allow-root", "--ip=127.0.0.1", `${folderOption}=${home}`],
      env: jupyterHome(home),
    }),
  );
  const running = started.move();
  const { origin } = address, { searchParams } = address;
  const search = `?token=${searchParams.get("token")}`;
  return {
    home,
    origin,
    search,
    open: (page, name) => open(page, origin, search, name),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
