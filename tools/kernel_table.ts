// `deno task kernel:table`: runs the checks of the messaging protocol, what people expect of a kernel, and the suite of
// jupyter_kernel_test, on our kernel, the stock one, ipykernel, tslab and IJavascript, each with a kernel that was just
// started; prints what holds, and puts the tables in docs/internals/kernel.md. The others are installed in report/kernels, from PyPI
// and npm; one that cannot be is left out, and said to be. A check that fails is tried once more, since machines are busy.
// `--check` only looks whether every check is in the tables, `--filter=TEXT` only prints those that have it in their name,
// `--why` says what was wrong.

import type { Message } from "../src/kernel/protocol/message.ts";
import { PEER_CHECKS } from "../testing/kernel/peer_checks.ts";
import { type KernelPeer, kernelPeers } from "../testing/kernel/peers.ts";
import { PROTOCOL_CHECKS } from "../testing/kernel/protocol_checks.ts";
import { installPeers } from "./kernels/install_peers.ts";
import { runSuite, SUITE_TESTS } from "./kernels/suite.ts";
import { markdownTable } from "./kernels/table.ts";

const PAGE = new URL("../docs/internals/kernel.md", import.meta.url);
/** A kernel that hangs has failed. */
const PATIENCE_MS = 60_000;
const FILTER = Deno.args.find((argument) => argument.startsWith("--filter="))?.slice(9) ?? "";

/** Whether a kernel does as it should; what is wrong is printed with `--why`. */
async function holds(
  peer: KernelPeer,
  run: (kernel: Awaited<ReturnType<KernelPeer["start"]>>, heard: readonly Message[]) => Promise<void>,
): Promise<boolean> {
  const heard: Message[] = [];
  const kernel = await peer.start((message) => void heard.push(message));
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), PATIENCE_MS);
  const why = (error: unknown): false => {
    if (Deno.args.includes("--why")) {
      console.log(`   ${peer.name}: ${String(error).split("\n")[0].slice(0, 200)}`);
    }
    return false;
  };
  try {
    const running = (async () => await run(kernel, heard))();
    return await Promise.race([running.then(() => true, why), late]);
  } finally {
    clearTimeout(timer);
    await kernel.kill();
    await peer.clearAway();
  }
}

type Row = readonly [name: string, ...answers: string[]];

/** Runs checks on several kernels, one after the other. */
async function rowsOf(
  peers: readonly KernelPeer[],
  checks: readonly { readonly name: string }[],
  run: (check: number, peer: KernelPeer) => Promise<boolean>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [at, { name }] of checks.entries()) {
    if (!name.includes(FILTER)) continue;
    const answers: string[] = [];
    for (const peer of peers) answers.push(await run(at, peer) || await run(at, peer) ? "yes" : "no");
    console.log(`${answers.map((answer) => answer.padEnd(3)).join(" ")}  ${name}`);
    rows.push([name, ...answers]);
  }
  return rows;
}

function place(page: string, name: string, table: string): string {
  const begin = `<!-- ${name} -->`, end = `<!-- end of ${name} -->`;
  const [before, rest] = page.split(begin), after = rest?.split(end)[1];
  if (after === undefined) {
    throw new Error(`docs/internals/kernel.md has no place for a table: ${begin} … ${end}`);
  }
  return `${before}${begin}\n\n${table}\n\n${end}${after}`;
}

if (Deno.args.includes("--check")) {
  const page = await Deno.readTextFile(PAGE);
  const names = [...PROTOCOL_CHECKS, ...PEER_CHECKS].map(({ name }) => name).concat(SUITE_TESTS);
  const missing = names.filter((name) => !page.includes(`| ${name} `));
  for (const name of missing) console.error(`docs/internals/kernel.md does not tell of the check "${name}"`);
  Deno.exit(missing.length > 0 ? 1 : 0);
}
const programs = await installPeers();
const peers = kernelPeers(programs), ours = peers.slice(0, 2), names = peers.map(({ name }) => name);
console.log(names.join(", "));
const protocol = await rowsOf(
  ours,
  PROTOCOL_CHECKS,
  (at, peer) => holds(peer, (kernel, heard) => PROTOCOL_CHECKS[at].run(kernel, heard)),
);
const people = await rowsOf(
  peers,
  PEER_CHECKS,
  (at, peer) => holds(peer, (kernel, heard) => PEER_CHECKS[at].run(kernel, peer.snippets, heard)),
);
if (FILTER !== "") Deno.exit();
const suite: Record<string, string>[] = [];
for (const peer of peers) suite.push(await runSuite(programs, peer));
let page = await Deno.readTextFile(PAGE);
page = place(page, "checks", markdownTable(["check", "ours", "stock"], protocol));
page = place(page, "people", markdownTable(["what", ...names], people));
page = place(
  page,
  "suite",
  markdownTable(
    ["test", ...names],
    SUITE_TESTS.map((test) => [test, ...suite.map((results) => results[test] ?? "no")]),
  ),
);
await Deno.writeTextFile(PAGE, page);
