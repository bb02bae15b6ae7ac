/**
 * The program of a worker, as text: it imports nothing and needs neither files nor permission, wherever the library
 * itself came from. Each request is answered once, in order, with what went wrong or null.
 */

import type { Kernels } from "../load_kernels.ts";
import { LAYOUT, type PieceRun, runPieces } from "./pieces.ts";

/** What a worker is asked. */
export type Request =
  /** To answer. */
  | { readonly kind: "hello" }
  /** To take pieces of a run in a memory that is known by `id`, or else comes along. */
  | {
    readonly kind: "run";
    readonly id: number;
    readonly source: KernelSource | null;
    readonly run: PieceRun;
    readonly lane: number;
  }
  /** To let go of a memory. */
  | { readonly kind: "forget"; readonly id: number };

/** What kernels are made of. */
export interface KernelSource {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}

/** Does what is asked. Its text is part of the program, so it knows nothing but its arguments. */
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
    run(kernels, memory, request.run, request.lane, layout);
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

/** Where workers are those of `node:worker_threads`. */
export const NODE_PROGRAM = `
const { parentPort } = process.getBuiltinModule("node:worker_threads");
const reply = (answer) => parentPort.postMessage(answer);
${RECEIVER}
parentPort.on("message", receive);`;

/** Where workers are those of the web. */
export const WEB_PROGRAM = `
const reply = (answer) => postMessage(answer);
${RECEIVER}
onmessage = ({ data }) => receive(data);`;
