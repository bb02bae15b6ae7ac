/**
 * One interface for workers. Deno and Node start them by `node:worker_threads`, because web workers keep a
 * process alive until they are ended; browsers have no process to keep alive.
 *
 * Invariant: a thread keeps the process alive only while a request is open. Once it has failed or was ended,
 * all open and later requests reject.
 */

import { NODE_PROGRAM, type Request, WEB_PROGRAM } from "./worker_program.ts";

/** A worker that handles requests one after the other. */
export interface Thread {
  /** Sends a request; resolves when it is done, rejects if it failed or the worker has ended. */
  ask(request: Request): Promise<void>;
  /** Ends the worker; resolves when it has ended. */
  end(): Promise<void>;
}

/**
 * Starts a worker; throws if workers are forbidden. `prelude` is code that runs before its program, for
 * tests.
 */
export type StartThread = (prelude?: string) => Thread;

/** The function that starts workers here; null if they cannot share memory. */
export function threadStarter(): StartThread | null {
  const NodeWorker = nodeWorkers();
  if (NodeWorker) return (prelude = "") => startOnNode(NodeWorker, prelude + NODE_PROGRAM);
  const canShare = typeof Worker === "function" && Reflect.get(globalThis, "crossOriginIsolated") === true;
  return canShare ? (prelude = "") => startOnWeb(prelude + WEB_PROGRAM) : null;
}

/** The members of a worker of `node:worker_threads` that are used here. */
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

/** The module is not imported statically, since browsers and bundlers do not have it. */
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

/** The open requests of a worker, in order. */
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

  /** Resolves or rejects the oldest open request. */
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
