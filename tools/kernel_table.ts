// `deno task kernel:table`: runs the checks of the messaging protocol against our kernel and the stock one, each with a kernel that
// was just started, prints what holds, and puts the table in docs/internals/kernel.md. `--check` only looks whether every check is in it.

import { parseArgs } from "node:util";
import { KernelProcess } from "../src/kernel/kernel_process.ts";
import type { Message } from "../src/kernel/protocol/message.ts";
import { startProxy } from "../testing/kernel/start_proxy.ts";
import { PROTOCOL_CHECKS, type ProtocolCheck } from "../testing/kernel/protocol_checks.ts";

const PAGE = new URL("../docs/internals/kernel.md", import.meta.url);
const BEGIN = "<!-- checks -->", END = "<!-- end of checks -->";
/** A kernel that hangs has failed. */
const PATIENCE_MS = 15_000;

type Start = (onMessage: (message: Message) => void) => Promise<KernelProcess>;

/** Whether a kernel does as it should. */
async function holds(check: ProtocolCheck, start: Start): Promise<boolean> {
  const heard: Message[] = [];
  const kernel = await start((message) => void heard.push(message));
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), PATIENCE_MS);
  try {
    return await Promise.race([check.run(kernel, heard).then(() => true, () => false), late]);
  } finally {
    clearTimeout(timer);
    await kernel.kill();
  }
}

/** The table as it should stand in the page. */
function tableOf(rows: readonly (readonly [name: string, ours: boolean, stock: boolean])[]): string {
  const cells = [
    ["check", "ours", "stock"],
    ...rows.map(([name, ...both]) => [name, ...both.map((is) => is ? "yes" : "no")]),
  ];
  const widths = [0, 1, 2].map((at) => Math.max(...cells.map((row) => row[at].length)));
  const lines = cells.map((row) => `| ${row.map((cell, at) => cell.padEnd(widths[at])).join(" | ")} |`);
  lines.splice(1, 0, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
  return `${BEGIN}\n\n${lines.join("\n")}\n\n${END}`;
}

const { check } = parseArgs({ args: Deno.args, options: { check: { type: "boolean" } } }).values;
const page = await Deno.readTextFile(PAGE);
const [before, rest] = page.split(BEGIN), after = rest?.split(END)[1];
if (after === undefined) {
  throw new Error(`docs/internals/kernel.md has no place for the table: ${BEGIN} … ${END}`);
}
if (check) {
  const missing = PROTOCOL_CHECKS.filter(({ name }) => !rest.includes(`| ${name} `));
  for (const { name } of missing) {
    console.error(`docs/internals/kernel.md does not tell of the check "${name}"`);
  }
  Deno.exit(missing.length > 0 ? 1 : 0);
}
const rows: (readonly [string, boolean, boolean])[] = [];
for (const check of PROTOCOL_CHECKS) {
  const ours = await holds(check, (onMessage) => startProxy({ onMessage }));
  const stock = await holds(check, (onMessage) => KernelProcess.start({ onMessage }));
  rows.push([check.name, ours, stock]);
  console.log(`${ours ? "yes" : "no "}  ${stock ? "yes" : "no "}  ${check.name}`);
}
await Deno.writeTextFile(PAGE, before + tableOf(rows) + after);
