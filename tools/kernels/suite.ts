// jupyter_kernel_test's own suite on a kernel, by its Python.

import { fileURLToPath } from "node:url";
import type { KernelPeer, PeerPrograms } from "../../testing/kernel/peers.ts";
import { installKernel, jupyterHome } from "../../testing/kernel/notebook_server.ts";

const SUITE = fileURLToPath(new URL("../../testing/kernel/kernel_test_suite.py", import.meta.url));

/** The tests that it has. */
export const SUITE_TESTS: readonly string[] = [
  "test_kernel_info",
  "test_execute_stdout",
  "test_execute_stderr",
  "test_execute_result",
  "test_display_data",
  "test_clear_output",
  "test_error",
  "test_completion",
  "test_is_complete",
  "test_inspect",
  "test_history",
];

/** Runs it; test → "yes", "no" or "skipped". */
export async function runSuite({ python }: PeerPrograms, peer: KernelPeer): Promise<Record<string, string>> {
  if (python === undefined) return {};
  const home = await Deno.makeTempDir();
  try {
    if (peer.name === "ours") await installKernel(home, "--name=compared");
    else {
      const folder = `${home}/data/kernels/compared`;
      await Deno.mkdir(folder, { recursive: true });
      const spec = { argv: peer.argv("{connection_file}"), display_name: peer.name, language: "x" };
      await Deno.writeTextFile(`${folder}/kernel.json`, JSON.stringify(spec));
    }
    const isPython = peer.name === "ipykernel", isDeno = peer.name === "ours" || peer.name === "Deno";
    const { stdout } = await new Deno.Command(python, {
      args: [
        SUITE,
        "compared",
        isPython ? "python" : "javascript",
        peer.snippets.html,
        isDeno ? `Deno.jupyter.broadcast("clear_output", { wait: false })` : "console.clear()",
      ],
      env: jupyterHome(home),
      stderr: "null",
    }).output();
    const outcomes = JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) || "{}") as Record<
      string,
      [string, string]
    >;
    for (const [test, [outcome, words]] of Object.entries(outcomes)) {
      if (outcome !== "yes" && Deno.args.includes("--why")) {
        console.log(`   ${peer.name} ${test}: ${outcome} ${words}`);
      }
    }
    return Object.fromEntries(Object.entries(outcomes).map(([test, [outcome]]) => [test, outcome]));
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}
