// What docs/claims.md names is there: tasks, tests, notebooks, and flags that the programs behind the tasks read.

import { assert, assertGreater, assertStringIncludes } from "../../testing/assert.ts";
import { readPage } from "../../testing/documentation.ts";

const ROOT = new URL("../../", import.meta.url);
const { tasks }: { tasks: Record<string, { command: string }> } = JSON.parse(
  await Deno.readTextFile(new URL("deno.json", ROOT)),
);

/** Every command of the page, by its words. */
const commands = [
  ...(await readPage("docs/claims.md")).matchAll(/`(?:npx -y deno@[\d.]+|deno) task ([^`]+)`/g),
]
  .map(([, words]) => words.split(" "));

/** What stands in the modules that are in the folder of a task's program. */
async function sourcesOf({ command }: { command: string }): Promise<string> {
  const program = command.split(" ").find((word) => word.endsWith(".ts"))!;
  const folder = new URL(program.slice(0, program.lastIndexOf("/") + 1), ROOT);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".ts"));
  return (await Promise.all(names.map((name) => Deno.readTextFile(new URL(name, folder))))).join("\n");
}

Deno.test("claims: every command is a task that is there, about tests, notebooks and flags that are", async () => {
  assertGreater(commands.length, 15);
  for (const [name, ...words] of commands) {
    assert(name in tasks, `deno task ${name}`);
    for (const word of words) {
      const flag = /^--([a-z-]+)/.exec(word)?.[1];
      if (flag) assertStringIncludes(await sourcesOf(tasks[name]), `${flag}:`, `deno task ${name} ${word}`);
      else await Deno.stat(new URL(name === "notebooks" ? `notebooks/${word}.ipynb` : word, ROOT));
    }
  }
});
