/**
 * Which widgets the installed front ends know: ipywidgets of version 6, 7 or 8 speak otherwise, and a kernel is not told who
 * it speaks to.
 */

import type { FrontEnd } from "../prelude/bridge.ts";
import { dataFolders } from "./data_folders.ts";

/**
 * Which front end is there: that of the server which has started this kernel, if it has one, and what the folders of Jupyter
 * hold else. Of several versions the newest counts.
 */
export async function findFrontEnd(folders: readonly string[] = dataFolders()): Promise<FrontEnd> {
  const own = await serverFolder();
  if (own !== null) {
    const found = await lookThrough([own]);
    if (found.ipywidgets !== null || found.anywidget) return found;
  }
  return await lookThrough(folders);
}

/** The data folder of the environment that the parent runs in, `ENVIRONMENT/share/jupyter`; null where it is unknown. */
async function serverFolder(): Promise<string | null> {
  try {
    const [program, script] = (await Deno.readTextFile(`/proc/${Deno.ppid}/cmdline`)).split("\0");
    for (const path of [script, program]) {
      const [, prefix] = /^(\/.+)\/bin\/[^/]+$/.exec(path ?? "") ?? [];
      if (prefix && prefix !== "/usr" && prefix !== "/usr/local") return `${prefix}/share/jupyter`;
    }
  } catch {
    // It is gone, or there are no such files.
  }
  return null;
}

async function lookThrough(folders: readonly string[]): Promise<FrontEnd> {
  const versions: number[] = [];
  let anywidget = false;
  for (const folder of folders) {
    const manager = await read(`${folder}/labextensions/@jupyter-widgets/jupyterlab-manager/package.json`);
    // JupyterLab's widget manager is versioned separately.
    if (manager !== null) versions.push(majorOf(manager) >= 5 ? 8 : 7);
    const notebook = await read(`${folder}/nbextensions/jupyter-js-widgets/extension.js`);
    if (notebook !== null) versions.push(notebook.includes("@jupyter-widgets/controls") ? 7 : 6);
    for (const place of ["labextensions/anywidget/package.json", "nbextensions/anywidget/index.js"]) {
      anywidget ||= await read(`${folder}/${place}`) !== null;
    }
  }
  return { ipywidgets: versions.length > 0 ? Math.max(...versions) : null, anywidget };
}

function majorOf(packageText: string): number {
  try {
    return Number.parseInt(JSON.parse(packageText).version);
  } catch {
    return 0;
  }
}

async function read(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return null;
  }
}
