// What a command fetches from npm is what it needs. `deno task` first fetches all that the configuration's own lock
// file and imports name, whatever the task; so they name nothing, and each task names its lock file.

import { assertEquals } from "../../testing/assert.ts";
import { lockedModules } from "../../tools/renew_locks.ts";
import { IS_LONG } from "../../testing/requirements.ts";

const ROOT = new URL("../../", import.meta.url);

async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await Deno.readTextFile(new URL(path, ROOT)));
}

/** Names of the packages in a lock file, without versions. */
async function packagesIn(lock: string): Promise<string[]> {
  const { npm } = await readJson(`locks/${lock}.lock`);
  return Object.keys(npm as object).map((name) => name.slice(0, name.lastIndexOf("@")));
}

/** Whether a lock file holds all that some modules need. */
async function isComplete(lock: string, modules: readonly string[]): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", "--frozen", `--lock=${lock}`, ...modules],
    cwd: ROOT,
    stderr: "null",
  }).output();
  return success;
}

Deno.test("locks: the configuration names no package, so that deno task fetches none", async () => {
  const { imports, lock, workspace } = await readJson("deno.json");
  assertEquals(lock, false);
  for (const member of workspace as string[]) {
    assertEquals((await readJson(`${member}/deno.json`)).imports, undefined, member);
  }
  for (const target of Object.values(imports as Record<string, string>)) {
    assertEquals(target.startsWith("./"), true, target);
  }
});

Deno.test("locks: the first commands fetch what they need", async () => {
  assertEquals(await packagesIn("start"), ["deno-std", "plotly.js-cartesian-dist-min", "simple-statistics"]);
  assertEquals(await packagesIn("ratings"), ["deno-std", "fflate"]);
  assertEquals((await packagesIn("kernel")).filter((name) => !name.startsWith("@babel/")), []);
  const heavy = ["assemblyscript", "binaryen", "mnist"];
  assertEquals((await packagesIn("test")).filter((name) => heavy.includes(name)), []);
  assertEquals((await packagesIn("development")).filter((name) => heavy.includes(name)), heavy);
});

Deno.test("locks: they hold all that the sources import", async () => {
  for (const [name, modules] of Object.entries(await lockedModules())) {
    // It has what the full suite alone needs, 140 megabytes.
    if (name === "development" && !IS_LONG) continue;
    assertEquals(await isComplete(`locks/${name}.lock`, modules), true, `${name}: run deno task locks`);
  }
});

Deno.test("locks: one that lacks a package is seen", async () => {
  const { start } = await lockedModules();
  const lock = await Deno.makeTempFile({ suffix: ".lock" });
  try {
    await Deno.copyFile(new URL("locks/kernel.lock", ROOT), lock);
    assertEquals(await isComplete(lock, start), false);
  } finally {
    await Deno.remove(lock);
  }
});
