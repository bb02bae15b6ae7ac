// Other kernels, installed in report/kernels, which git ignores: a virtual environment and a folder of npm's.

import { fileURLToPath } from "node:url";
import type { PeerPrograms } from "../../testing/kernel/peers.ts";

const FOLDER = fileURLToPath(new URL("../../report/kernels/", import.meta.url));
/** What each is at, so that a table can be made again. */
const PYTHON_PACKAGES = ["ipykernel==7.4.0", "jupyter_kernel_test==0.7.0", "jupyter_client==8.10.0"];
const NPM_PACKAGES = { tslab: "tslab@1.0.22", ijskernel: "ijavascript@5.2.1" };

/** Installs what is not there yet; what cannot be installed is left out, with a line that says so. */
export async function installPeers(folder = Deno.env.get("ATTUNE_KERNELS") ?? FOLDER): Promise<PeerPrograms> {
  await Deno.mkdir(folder, { recursive: true });
  const python = `${folder}/venv/bin/python`;
  const hasPython = await exists(python) ||
    await run("python3", "-m", "venv", `${folder}/venv`) &&
      await run(python, "-m", "pip", "install", "--quiet", ...PYTHON_PACKAGES);
  if (!hasPython) console.error("ipykernel is left out: it could not be installed");
  const programs: Record<string, string> = hasPython ? { python } : {};
  for (const [program, name] of Object.entries(NPM_PACKAGES)) {
    const path = `${folder}/node_modules/.bin/${program}`;
    const isThere = await exists(path) ||
      await run("npm", "install", "--no-audit", "--no-fund", "--prefix", folder, name);
    if (isThere && await exists(path)) programs[program] = path;
    else {console.error(
        `${name} is left out: it could not be installed (it compiles libzmq: apt-get install libzmq3-dev)`,
      );}
  }
  return programs;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

async function run(program: string, ...args: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(program, {
      args,
      // IJavascript's binding builds against the system's libzmq, where it is.
      env: { npm_config_zmq_external: "true" },
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}
