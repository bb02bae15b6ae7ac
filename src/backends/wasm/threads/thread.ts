/**
 * Workers under one face. Deno and Node start them by `node:worker_threads`, because those of the web keep a process
 * alive until they are ended; browsers have no process to keep alive.
 *
 * Invariant: a thread keeps the process alive while it owes an answer, and only then. Once it has failed or was ended it
 * answers nothing any more, and all that it owes is rejected.
 */

import { NODE_PROGRAM, type Request, WEB_PROGRAM } from "./worker_program.ts";

/** A worker that does what it is asked, one thing after the other. */
export interface Thread {
  /** Resolves when it is done; rejects when it failed or the worker is gone. */
  ask(request: Request): Promise<void>;
  /** Ends the worker; resolves when it is gone. */
  end(): Promise<void>;
}

/** Starts a worker; throws where none may start. `prelude` is run before its program, which tests use. */
export type StartThread = (prelude?: string) => Thread;

/** How workers are started here; null where they cannot share memory. */
export function threadStarter(): StartThread | null {
  const NodeWorker = nodeWorkers();
  if (NodeWorker) return (prelude = "") => startOnNode(NodeWorker, prelude + NODE_PROGRAM);
  const canShare = typeof Worker === "function" && Reflect.get(globalThis, "crossOriginIsolated") === true;
  return canShare ? (prelude = "") => startOnWeb(prelude + WEB_PROGRAM) : null;
}

/** What is used of a worker of `node:worker_threads`. */
interface NodeWorker {
  postMessage(message: unknown): void;
  on(event: "message", listener: (answer: string | null) => void): void;
  on(event: "error", listener: (error: unknown) => void): void;
  on(event: "exit", listener: () => void): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<unknown>;
}
type NodeWorkerClass = new (program: string, options: { readonly eval: true }) => NodeWorker;

/** Not by `import`, which would stop browsers and bundlers. */
function nodeWorkers(): NodeWorkerClass | null {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  const threads = process?.getBuiltinModule?.("node:worker_threads") as
    | { Worker: NodeWorkerClass }
    | undefined;
  return threads?.Worker ?? null;
}

function startOnNode(Worker: NodeWorkerClass, program: string): Thread {
  const worker = new Worker(program, { eval: true });
  worker.unref();
  const owed = new Owed(() => worker.ref(), () => worker.unref());
  worker.on("message", (answer) => owed.settle(answer));
  worker.on("error", (error) => owed.fail(error));
  worker.on("exit", () => owed.fail(new Error("a worker ended")));
  return {
    ask: (request) => owed.add(() => worker.postMessage(request)),
    end: async () => {
      owed.fail(new Error("a worker was ended"));
      await worker.terminate();
    },
  };
}

function startOnWeb(program: string): Thread {
  const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  const owed = new Owed(() => {}, () => {});
  worker.onmessage = ({ data }) => owed.settle(data);
  worker.onmessageerror = () => owed.fail(new Error("a worker cannot read a message"));
  worker.onerror = (event) => {
    event.preventDefault();
    owed.fail(new Error(event.message));
  };
  return {
    ask: (request) => owed.add(() => worker.postMessage(request)),
    end: () => {
      owed.fail(new Error("a worker was ended"));
      worker.terminate();
      URL.revokeObjectURL(url);
      return Promise.resolve();
    },
  };
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** The answers that a worker owes, in order. */
class Owed {
  readonly #waiting: Waiting[] = [];
  readonly #onFirst: () => void;
  readonly #onNone: () => void;
  #failure: unknown = null;

  constructor(onFirst: () => void, onNone: () => void) {
    this.#onFirst = onFirst;
    this.#onNone = onNone;
  }

  add(post: () => void): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ resolve, reject }) === 1) this.#onFirst();
      post();
    });
  }

  /** Takes the next answer. */
  settle(failure: string | null): void {
    const answer = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#onNone();
    if (failure === null) answer?.resolve();
    else answer?.reject(new Error(failure));
  }

  fail(failure: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = failure;
    for (const answer of this.#waiting.splice(0)) answer.reject(failure);
  }
}
