import { assert, assertEquals, assertStringIncludes, assertThrows } from "../../testing/assert.ts";
import { findProgram, findPython, requires } from "../../testing/requirements.ts";

/** What `run` warns of, instead of on the terminal. */
function warningsOf(run: () => void): string[] {
  const { warn } = console;
  const warnings: string[] = [];
  console.warn = (line: string) => warnings.push(line);
  try {
    run();
  } finally {
    console.warn = warn;
  }
  return warnings;
}

Deno.test("tests of a program that is there run, strict or not", () => {
  const warnings = warningsOf(() => {
    assertEquals(requires("chromium", "/usr/bin/chromium", "", false), { ignore: false });
    assertEquals(requires("chromium", "/usr/bin/chromium", "", true), { ignore: false });
  });
  assertEquals(warnings, []);
});

Deno.test("tests of a program that is missing are skipped with one line that says how to get it", () => {
  const warnings = warningsOf(() => {
    assertEquals(requires("chromium", undefined, "apt-get install chromium", false), { ignore: true });
  });
  assertEquals(warnings, ["Tests are skipped: chromium is missing, get it with: apt-get install chromium"]);
});

Deno.test("in strict mode a missing program is a failure", () => {
  const error = assertThrows(() => requires("chromium", undefined, "apt-get install chromium", true), Error);
  assertStringIncludes(error.message, "chromium is missing, get it with: apt-get install chromium");
});

Deno.test("findProgram finds the first name that PATH has, and no folder", async () => {
  const folder = await Deno.makeTempDir({ prefix: "attune-" });
  const path = Deno.env.get("PATH") ?? "";
  try {
    const suffix = Deno.build.os === "windows" ? ".exe" : "";
    await Deno.mkdir(`${folder}/first${suffix}`);
    await Deno.writeTextFile(`${folder}/second${suffix}`, "");
    Deno.env.set("PATH", folder);
    assertEquals(findProgram("first", "second", "third"), `${folder}/second${suffix}`);
    assertEquals(findProgram("first", "third"), undefined);
    Deno.env.set("PATH", "");
    assertEquals(findProgram("second"), undefined);
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(folder, { recursive: true });
  }
  assert(Deno.env.get("PATH") === path);
});

Deno.test("findPython finds no Python that lacks the module", () => {
  assertEquals(findPython("a_module_that_nobody_has_written"), undefined);
  const python = findProgram("python3");
  if (python !== undefined) assertEquals(findPython("sys"), python);
});

Deno.test("a release passes the gate in the same container as any other change", async () => {
  const containers = await Promise.all(["ci", "publish"].map(async (name) => {
    const workflow = await Deno.readTextFile(new URL(`../../.github/workflows/${name}.yml`, import.meta.url));
    const gate = workflow.slice(workflow.indexOf("  gate:"));
    return gate.match(/^ +(?:image|options|timeout-minutes): .*$/gm)?.slice(0, 3).map((line) => line.trim());
  }));
  assertEquals(containers[0]?.length, 3);
  assertEquals(containers[1], containers[0]);
});
