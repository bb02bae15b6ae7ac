// The kernelspec: where it goes, what it says, and what is refused.

import { parseArguments } from "../../src/kernel/install/arguments.ts";
import { dataFolders, userDataFolder } from "../../src/kernel/install/data_folders.ts";
import { findFrontEnd } from "../../src/kernel/install/front_end.ts";
import { iconPng, iconSvg } from "../../src/kernel/install/icons.ts";
import { lastingProgram } from "../../src/kernel/install/program.ts";
import { KernelError } from "../../src/kernel/errors.ts";
import { ENTRY_POINTS, packageAddresses } from "../../src/kernel/packages.ts";
import { assert, assertEquals, assertThrows } from "../../testing/assert.ts";
import { PEER_CHECKS } from "../../testing/kernel/peer_checks.ts";
import { PROTOCOL_CHECKS } from "../../testing/kernel/protocol_checks.ts";

const MAIN = new URL("../../src/kernel/main.ts", import.meta.url).pathname;

const WHOLE = ["--allow-read", "--allow-net", "--allow-import"];

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function main(folder: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", MAIN, ...args],
    env: { JUPYTER_DATA_DIR: `${folder}/data`, NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("install: into JUPYTER_DATA_DIR or a prefix, by name, and away again", () =>
  inFolder(async (folder) => {
    const first = await main(folder, "install", ...WHOLE, "--allow-env=HOME", "--widgets=7");
    assertEquals(first.code, 0, first.err);
    const spec = JSON.parse(await Deno.readTextFile(`${folder}/data/kernels/attune/kernel.json`));
    assertEquals([spec.display_name, spec.interrupt_mode, spec.language], [
      "Deno (Attune)",
      "message",
      "typescript",
    ]);
    assertEquals(spec.argv.slice(1), [
      ...["run", "--quiet", "--allow-all", "--no-config", "--frozen"],
      `--lock=${folder}/data/kernels/attune/deno.lock`,
      ...[MAIN, "start", "{connection_file}", ...WHOLE, "--allow-env=HOME", "--widgets=7"],
    ]);
    assert((await Deno.readTextFile(`${folder}/data/kernels/attune/deno.lock`)).includes("@babel/types@"));
    for (const name of ["logo-32x32.png", "logo-64x64.png", "logo-svg.svg"]) {
      assert((await Deno.stat(`${folder}/data/kernels/attune/${name}`)).size > 100, name);
    }
    assertEquals((await main(folder, "install")).code, 0, "once more, over itself");
    const other = await main(
      folder,
      "install",
      `--prefix=${folder}/env`,
      "--name=mine",
      "--display",
      "My Deno",
    );
    assertEquals(other.code, 0, other.err);
    const path = `${folder}/env/share/jupyter/kernels/mine`;
    assertEquals(JSON.parse(await Deno.readTextFile(`${path}/kernel.json`)).display_name, "My Deno");
    assertEquals((await main(folder, "uninstall", `--prefix=${folder}/env`, "--name=mine")).code, 0);
    const again = await main(folder, "uninstall", `--prefix=${folder}/env`, "--name=mine");
    assertEquals(again.code, 1);
    assert(again.err.includes("there is no kernelspec"), again.err);
  }));

Deno.test("install: what is another's stays, and what cannot be meant is refused", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/data/kernels/deno`, { recursive: true });
    await Deno.writeTextFile(`${folder}/data/kernels/deno/kernel.json`, '{"argv": ["deno"]}');
    for (const command of ["install", "uninstall"]) {
      const { code, err } = await main(folder, command, "--name=deno");
      assertEquals(code, 1);
      assert(err.includes("of another kernel"), err);
    }
    assertEquals(await Deno.readTextFile(`${folder}/data/kernels/deno/kernel.json`), '{"argv": ["deno"]}');
    for (const args of [["install", "--name=../up"], ["install", "--what"], ["install", "--widgets=5"]]) {
      const { code, err } = await main(folder, ...args);
      assertEquals(code, 1, args.join(" "));
      assert(err.includes("expected") && err.trim().split("\n").length === 1, err);
    }
    assertEquals((await main(folder)).code, 2);
  }));

Deno.test("replay S7: a planted link is not followed, and a kernelspec that mentions ours is another's", () =>
  inFolder(async (folder) => {
    const kernels = `${folder}/data/kernels`, precious = `${folder}/precious`;
    await Deno.mkdir(`${kernels}/attune`, { recursive: true });
    await Deno.writeTextFile(precious, "kept");
    for (const name of ["kernel.json", "logo-svg.svg", "deno.lock"]) {
      await Deno.symlink(precious, `${kernels}/attune/${name}`);
    }
    // A text that is no kernelspec of ours is another's.
    assertEquals((await main(folder, "install")).code, 1);
    await Deno.remove(`${kernels}/attune/kernel.json`);
    const { code, err } = await main(folder, "install");
    assertEquals(code, 0, err);
    assertEquals(await Deno.readTextFile(precious), "kept");
    await Deno.symlink(folder, `${kernels}/linked`);
    assertEquals((await main(folder, "install", "--name=linked")).code, 1);
    const foreign = JSON.stringify({ argv: ["other"], metadata: { attune: "is what it is not" } });
    await Deno.mkdir(`${kernels}/foreign`);
    await Deno.writeTextFile(`${kernels}/foreign/kernel.json`, foreign);
    assertEquals((await main(folder, "uninstall", "--name=foreign")).code, 1);
    assertEquals(await Deno.readTextFile(`${kernels}/foreign/kernel.json`), foreign);
  }));

Deno.test("replay K14: a Deno in npm's cache is copied to where it stays", () =>
  inFolder(async (folder) => {
    const cached = `${folder}/_npx/abc/deno`;
    await Deno.mkdir(`${folder}/_npx/abc`, { recursive: true });
    await Deno.writeTextFile(cached, "a program");
    const lasting = await lastingProgram(`${folder}/share`, cached);
    await Deno.remove(`${folder}/_npx`, { recursive: true });
    assertEquals(await Deno.readTextFile(lasting), "a program");
    assertEquals(await lastingProgram(`${folder}/share`, "/usr/bin/deno"), "/usr/bin/deno");
  }));

Deno.test("install: --help says how the program is called, and installs nothing", () =>
  inFolder(async (folder) => {
    const { code, out, err } = await main(folder, "install", "--help");
    assertEquals([code, err], [0, ""]);
    for (const option of ["--name", "--display", "--prefix", "--allow-read", "--widgets"]) {
      assert(out.includes(option), out);
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("install: options of the command line", () => {
  const { words, name, permissions, widgets, startArguments } = parseArguments(
    ["start", "file.json", "--name", "n", ...WHOLE, "--allow-run=a,b", "--widgets=anywidget"],
  );
  assertEquals([words, name], [["start", "file.json"], "n"]);
  assertEquals(permissions, { read: true, net: true, import: true, run: ["a", "b"] });
  assertEquals(widgets, { ipywidgets: null, anywidget: true });
  assertEquals(startArguments, [...WHOLE, "--allow-run=a,b", "--widgets=anywidget"]);
  assertEquals(parseArguments(["install"]).permissions, null);
  assertEquals(parseArguments(["install", "--allow-all"]).permissions, null);
  assertThrows(() => parseArguments(["install", "--deny-net"]), KernelError);
  // Imports would read what reading was not given for.
  for (
    const few of [["--allow-read=/tmp"], ["--allow-env"], ["--allow-read", "--allow-net=a", "--allow-import"]]
  ) {
    assertThrows(() => parseArguments(["install", ...few]), KernelError, "cannot be restricted");
  }
});

Deno.test("install: Jupyter's folders on each system", () => {
  const at = (os: typeof Deno.build.os, env: Record<string, string>) => ({
    os,
    env: (name: string) => env[name],
  });
  assertEquals(userDataFolder(at("linux", { HOME: "/h" })), "/h/.local/share/jupyter");
  assertEquals(userDataFolder(at("linux", { HOME: "/h", XDG_DATA_HOME: "/x" })), "/x/jupyter");
  assertEquals(userDataFolder(at("darwin", { HOME: "/h" })), "/h/Library/Jupyter");
  assertEquals(userDataFolder(at("windows", { APPDATA: "C:\\a" })), "C:\\a\\jupyter");
  assertEquals(userDataFolder(at("linux", { HOME: "/h", JUPYTER_DATA_DIR: "/d" })), "/d");
  assertThrows(() => userDataFolder(at("linux", {})), Error);
  assertEquals(
    dataFolders(at("linux", { JUPYTER_PATH: "/p:/q", HOME: "/h", VIRTUAL_ENV: "/v" })).slice(0, 4),
    [
      "/p",
      "/q",
      "/h/.local/share/jupyter",
      "/v/share/jupyter",
    ],
  );
});

Deno.test("install: which widgets the front ends know is found out", () =>
  inFolder(async (folder) => {
    assertEquals(await findFrontEnd([folder]), { ipywidgets: null, anywidget: false });
    await Deno.mkdir(`${folder}/nbextensions/jupyter-js-widgets`, { recursive: true });
    await Deno.writeTextFile(`${folder}/nbextensions/jupyter-js-widgets/extension.js`, "define()");
    assertEquals(await findFrontEnd([folder]), { ipywidgets: 6, anywidget: false });
    const manager = `${folder}/labextensions/@jupyter-widgets/jupyterlab-manager`;
    await Deno.mkdir(manager, { recursive: true });
    for (const [version, expected] of [["3.1.0", 7], ["5.0.2", 8]] as const) {
      await Deno.writeTextFile(`${manager}/package.json`, JSON.stringify({ version }));
      assertEquals((await findFrontEnd([folder])).ipywidgets, expected);
    }
    await Deno.mkdir(`${folder}/labextensions/anywidget`, { recursive: true });
    await Deno.writeTextFile(`${folder}/labextensions/anywidget/package.json`, "{}");
    assertEquals((await findFrontEnd([folder])).anywidget, true);
  }));

Deno.test("install: the icon is a picture", async () => {
  const png = iconPng(32);
  assertEquals([...png.subarray(1, 4)].map((code) => String.fromCharCode(code)).join(""), "PNG");
  const size = new DataView(png.buffer);
  assertEquals([size.getUint32(16), size.getUint32(20)], [32, 32]);
  const length = size.getUint32(33);
  const rows = await new Response(
    new Blob([png.subarray(41, 41 + length)]).stream().pipeThrough(new DecompressionStream("deflate")),
  ).bytes();
  const alpha = (x: number, y: number) => rows[y * (1 + 4 * 32) + 1 + 4 * x + 3];
  assertEquals([rows.length, alpha(0, 0), alpha(16, 16)], [32 * (1 + 4 * 32), 0, 255]);
  assertEquals(iconSvg().match(/<rect/g)?.length, 17);
});

Deno.test("packages: the entry points are those of deno.json, and a folder that names the package goes first", () =>
  inFolder(async (folder) => {
    const { exports } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
    const expected = Object.entries(exports as Record<string, string>).map((
      [name, path],
    ) => [name.slice(1), path.slice(2)]);
    assertEquals(Object.entries(ENTRY_POINTS).sort(), expected.sort());
    const addresses = await packageAddresses(folder);
    assertEquals(addresses["@attune/attention"], new URL("../../mod.ts", import.meta.url).href);
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ importMap: "map.json" }));
    assertEquals(Object.keys(await packageAddresses(`${folder}/below`)).length, expected.length);
    await Deno.writeTextFile(
      `${folder}/map.json`,
      JSON.stringify({ imports: { "@attune/attention": "./x.ts" } }),
    );
    assertEquals(await packageAddresses(`${folder}/below`), {});
  }));

Deno.test("docs: the table of checks has a line for each", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/internals/kernel.md", import.meta.url));
  for (const { name } of [...PROTOCOL_CHECKS, ...PEER_CHECKS]) assert(page.includes(`| ${name} `), name);
});
