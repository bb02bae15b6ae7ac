// Runs a notebook from top to bottom in a kernel of its own.

import { KernelProcess } from "../../src/kernel/kernel_process.ts";
import { hasTag, joined, type Notebook, sourceOf } from "./document.ts";
import { OutputCollector } from "./outputs.ts";

/** How long a cell may take. */
const CELL_MS = 600_000;
/** How often a notebook is run for the outputs that a kernel loses. */
const ATTEMPTS = 4;

/** A cell threw, took too long, or its kernel died. */
export class CellError extends Error {
  /** The name of the class. */
  override readonly name: string = "CellError";
}

/**
 * The notebook with what its cells show now, numbered from 1. A cell that throws ends it by a `CellError`, unless it has the
 * tag `raises-exception`. A cell that showed something when it was committed and shows nothing now is not believed: the
 * notebook is run again, four times at most, since the stock kernel may lose what a cell shows last.
 */
export async function executeNotebook(notebook: Notebook, folder: URL): Promise<Notebook> {
  for (let attempt = 1;; attempt++) {
    const executed = await runOnce(notebook, folder);
    const isSilent = executed.cells.some(({ outputs }, at) =>
      outputs?.length === 0 && (notebook.cells[at].outputs?.length ?? 0) > 0
    );
    if (!isSilent || attempt === ATTEMPTS) return executed;
  }
}

async function runOnce(notebook: Notebook, folder: URL): Promise<Notebook> {
  await using kernel = await KernelProcess.start({ cwd: folder });
  const collector = new OutputCollector(notebook.cells.length);
  const counts: (number | null)[] = notebook.cells.map(() => null);
  for (const [at, cell] of notebook.cells.entries()) {
    const source = sourceOf(cell);
    if (cell.cell_type !== "code" || source.trim() === "") continue;
    const running = kernel.client.execute(source, { onOutput: (message) => collector.take(at, message) });
    const { status, executionCount, reply } = await inTime(at, running);
    counts[at] = executionCount;
    if (status !== "ok" && !hasTag(cell, "raises-exception")) {
      const trace = joined((reply.traceback as string[] | undefined)?.map((line) => `${line}\n`));
      throw new CellError(`cell ${at} ended with ${status}: ${trace || joined(reply.evalue)}`);
    }
  }
  const { language_info: language } = kernel.client.info;
  return {
    ...notebook,
    metadata: { language_info: language, ...notebook.metadata },
    cells: notebook.cells.map((cell, at) =>
      cell.cell_type === "code" ? { ...cell, execution_count: counts[at], outputs: collector.of(at) } : cell
    ),
  };
}

async function inTime<T>(at: number, running: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new CellError(`cell ${at} takes more than ${CELL_MS} ms`)), CELL_MS);
  try {
    return await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
    running.catch(() => {});
  }
}
