// Other kernels, which the table of docs/internals/kernel.md compares with: how each is started, and how it says what all can say.

import { endProcesses, KERNEL_MARK } from "../../src/kernel/descendants.ts";
import { type KernelOptions, KernelProcess } from "../../src/kernel/kernel_process.ts";
import { startProxy } from "./start_proxy.ts";

/** Code by what it does; null where a kernel's language or library has no such thing. */
export interface Snippets {
  readonly print: (text: string) => string;
  readonly printError: (text: string) => string;
  readonly lines: (count: number) => string;
  readonly raise: string;
  readonly sleep: (milliseconds: number) => string;
  readonly spin: string;
  readonly ask: string;
  readonly askHidden: string | null;
  readonly nothing: string;
  readonly later: (milliseconds: number) => string;
  readonly lateError: string | null;
  readonly thread: (text: string) => string;
  readonly html: string;
  readonly records: string;
  readonly finallyWaits: string;
  readonly typed: string | null;
  readonly constant: readonly [once: string, again: string] | null;
  readonly topLevelAwait: string;
  readonly module: string;
  readonly spawn: string | null;
  readonly listOf: string;
  readonly builtIn: readonly [code: string, signature: string];
  readonly unfinished: string;
  readonly wrong: string;
}

/** A kernel that can be compared with. */
export interface KernelPeer {
  readonly name: string;
  readonly snippets: Snippets;
  readonly start: (onMessage: KernelOptions["onMessage"]) => Promise<KernelProcess>;
  /** Ends what its kernels have started and left behind, as IJavascript leaves the program that runs its cells. */
  readonly clearAway: () => Promise<void>;
  /** The command of its kernelspec, for suites that start it themselves; null where it is installed otherwise. */
  readonly argv: (main: string) => readonly string[];
}

const JAVASCRIPT: Snippets = {
  print: (text) => `console.log(${JSON.stringify(text)})`,
  printError: (text) => `console.error(${JSON.stringify(text)})`,
  lines: (count) => `for (let i = 0; i < ${count}; i++) console.log("line", i)`,
  raise: `var one = 1;\nvar two = 2;\nthrow new TypeError("no")`,
  sleep: (milliseconds) => `await new Promise((resolve) => setTimeout(resolve, ${milliseconds}))`,
  spin: "while (true) kept++",
  ask: `prompt("who?")`,
  askHidden: null,
  nothing: "null",
  later: (milliseconds) => `setTimeout(() => console.log("late"), ${milliseconds}); 0`,
  lateError: `setTimeout(() => { throw new Error("nobody caught this") }, 10); 0`,
  thread: (text) =>
    `var thread = new Worker("data:text/javascript," + encodeURIComponent('console.log(${
      JSON.stringify(text)
    })'), { type: "module" }); 0`,
  html: "",
  records: `[{ name: "a", n: 1 }, { name: "b", n: 2 }]`,
  finallyWaits:
    `try { console.log("begun"); await new Promise((resolve) => setTimeout(resolve, 100000)) } finally { await new Promise((resolve) => setTimeout(resolve, 100)); console.log("tidy") }`,
  typed: "interface Row { n: number }\nconst row: Row = { n: 41 }; row.n + 1",
  constant: ["const once = 1; once", "const once = 2; once"],
  topLevelAwait: "await Promise.resolve(42)",
  module: `import { basename } from "node:path"; basename("/a/42")`,
  spawn:
    `const started = (await import("node:child_process")).spawn("sleep", ["1000"], { stdio: "ignore" }); console.log(started.pid)`,
  listOf: `var data = [{ alpha: 1 }]; 0`,
  builtIn: ["Math.max", "...values: number[]"],
  unfinished: "for (const x of [1]) {",
  wrong: "let = = 3",
};
const DENO: Snippets = {
  ...JAVASCRIPT,
  askHidden: `prompt("secret?", "", { password: true })`,
  html: `Deno.jupyter.display({ "text/html": "<b>x</b>" }, { raw: true }); 0`,
  spawn:
    `const started = new Deno.Command("sleep", { args: ["1000"], stdout: "null" }).spawn(); console.log(started.pid)`,
};
const PYTHON: Snippets = {
  print: (text) => `print(${JSON.stringify(text)})`,
  printError: (text) => `import sys; print(${JSON.stringify(text)}, file=sys.stderr)`,
  lines: (count) => `for i in range(${count}): print("line", i)`,
  raise: `one = 1\ntwo = 2\nraise TypeError("no")`,
  sleep: (milliseconds) => `import asyncio; await asyncio.sleep(${milliseconds / 1000})`,
  spin: "while True: kept += 1",
  ask: `input("who?")`,
  askHidden: `import getpass; getpass.getpass("secret?")`,
  nothing: "None",
  later: (milliseconds) =>
    `import threading; threading.Timer(${milliseconds / 1000}, lambda: print("late")).start(); 0`,
  lateError:
    `import threading\ndef fail(): raise ValueError("nobody caught this")\nthreading.Timer(0.01, fail).start(); 0`,
  thread: (text) =>
    `import threading; threading.Thread(target=lambda: print(${JSON.stringify(text)})).start(); 0`,
  html: `from IPython.display import display, HTML; display(HTML("<b>x</b>")); 0`,
  records: `[{ "name": "a", "n": 1 }, { "name": "b", "n": 2 }]`,
  finallyWaits:
    `import asyncio\ntry:\n  print("begun"); await asyncio.sleep(100)\nfinally:\n  await asyncio.sleep(0.1); print("tidy")`,
  typed: null,
  constant: null,
  topLevelAwait: "import asyncio\nasync def answer(): return 42\nawait answer()",
  module: `import os.path; int(os.path.basename("/a/42"))`,
  spawn: `import subprocess; started = subprocess.Popen(["sleep", "1000"]); print(started.pid)`,
  listOf: `data = [{ "alpha": 1 }]; 0`,
  builtIn: ["max", "max("],
  unfinished: "for x in [1]:",
  wrong: "let = = 3",
};

/** Where other kernels are. */
export interface PeerPrograms {
  /** A Python that has ipykernel. */
  readonly python?: string;
  readonly ijskernel?: string;
  readonly tslab?: string;
}

/** Ours and the stock kernel, and of the others those that are there. */
export function kernelPeers({ python, ijskernel, tslab }: PeerPrograms): KernelPeer[] {
  const peer = (name: string, snippets: Snippets, argv: (file: string) => readonly string[]): KernelPeer => {
    const mark = crypto.randomUUID();
    const start: KernelPeer["start"] = (onMessage) =>
      KernelProcess.start({
        ...(onMessage ? { onMessage } : {}),
        timeoutMs: 60_000,
        env: { [KERNEL_MARK]: mark },
        command: (file) => argv(file) as [string, ...string[]],
      });
    return { name, snippets, argv, start, clearAway: () => endProcesses(mark) };
  };
  return [
    {
      name: "ours",
      snippets: DENO,
      argv: () => [],
      start: (onMessage) => startProxy(onMessage ? { onMessage } : {}),
      // It leaves nothing behind.
      clearAway: () => Promise.resolve(),
    },
    peer("Deno", DENO, (file) => [Deno.execPath(), "jupyter", "--kernel", "--conn", file]),
    ...(python
      ? [peer("ipykernel", PYTHON, (file) => [python, "-m", "ipykernel_launcher", "-f", file])]
      : []),
    ...(tslab
      ? [peer("tslab", { ...JAVASCRIPT, html: `require("tslab").display.html("<b>x</b>"); 0` }, (file) => [
        tslab,
        "kernel",
        `--config-path=${file}`,
      ])]
      : []),
    ...(ijskernel
      ? [peer("IJavascript", {
        ...JAVASCRIPT,
        typed: null,
        ask: `$$.async(); $$.input({ prompt: "who?" }, (error, reply) => $$.sendResult(reply.value))`,
        html: `$$.html("<b>x</b>")`,
        module: `require("node:path").basename("/a/42")`,
        thread: (text) =>
          `new (require("node:worker_threads").Worker)('console.log(${
            JSON.stringify(text)
          })', { eval: true }); 0`,
        spawn:
          `const started = require("node:child_process").spawn("sleep", ["1000"], { stdio: "ignore" }); console.log(started.pid)`,
      }, (file) => [ijskernel, file, "--protocol=5.1"])]
      : []),
  ];
}
