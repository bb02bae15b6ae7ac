/**
 * The program of a worker, as text, so that starting one needs no file and no permission. It answers each
 * request once, in order, with an error message or null.
 */

import type { Kernels } from "../load_kernels.ts";
import { LAYOUT, type PieceRun, runPieces } from "./pieces.ts";

/** The requests to a worker. */
export type Request =
  /** Asks for an answer, as a test. */
  | { readonly kind: "hello" }
  /** Asks to take pieces of a run in a memory, which is known by `id` or sent along. */
  | {
    readonly kind: "run";
    readonly id: number;
    readonly source: KernelSource | null;
    readonly run: PieceRun;
    readonly lane: number;
  }
  /** Asks to forget a memory. */
  | { readonly kind: "forget"; readonly id: number };

/** The parts that kernels are made of. */
export interface KernelSource {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}

/**
 * Makes the function that handles requests. Its source text is part of the program, so it may use nothing but
 * its arguments.
 */
function makeResponder(run: typeof runPieces, layout: typeof LAYOUT): (request: Request) => void {
  const known = new Map<number, { readonly kernels: Kernels; readonly memory: WebAssembly.Memory }>();
  return (request) => {
    if (request.kind === "forget") known.delete(request.id);
    if (request.kind !== "run") return;
    const { id, source } = request;
    if (source) {
      const { exports } = new WebAssembly.Instance(source.module, { env: { memory: source.memory } });
      known.set(id, { kernels: exports as unknown as Kernels, memory: source.memory });
    }
    const { kernels, memory } = known.get(id)!;
    run(kernels, new Uint32Array(memory.buffer), request.run, request.lane, layout);
  };
}

const RECEIVER = `
const respond = (${makeResponder})(${runPieces}, ${JSON.stringify(LAYOUT)});
const receive = (request) => {
  try {
    respond(request);
    reply(null);
  } catch (error) {
    reply(String(error));
  }
};`;

/** The program for workers of `node:worker_threads`. */
export const NODE_PROGRAM = `
const { parentPort } = process.getBuiltinModule("node:worker_threads");
const reply = (answer) => parentPort.postMessage(answer);
${RECEIVER}
parentPort.on("message", receive);`;

/** The program for web workers. */
export const WEB_PROGRAM = `
const reply = (answer) => postMessage(answer);
${RECEIVER}
onmessage = ({ data }) => receive(data);`;
