// From the messages of a kernel to the outputs of cells, as Jupyter's own front ends would keep them:
// neighbouring pieces of a stream are one, a display that is updated changes wherever it is shown, what is
// cleared is gone.

import type { Message } from "../../src/kernel/protocol/message.ts";
import type { Output } from "./document.ts";

/** The outputs of the cells of one notebook. */
export class OutputCollector {
  readonly #cells: Output[][];
  /** The places of named displays. */
  readonly #displays = new Map<string, { readonly cell: number; readonly output: Output }[]>();
  readonly #clearsNext: boolean[];

  constructor(cellCount: number) {
    this.#cells = Array.from({ length: cellCount }, () => []);
    this.#clearsNext = Array.from({ length: cellCount }, () => false);
  }

  /** The outputs of a cell. */
  of(cell: number): readonly Output[] {
    return this.#cells[cell];
  }

  /** Takes an output of a cell. */
  take(cell: number, { header, content }: Message): void {
    const { msg_type: type } = header;
    if (type === "clear_output") {
      if (content.wait === true) this.#clearsNext[cell] = true;
      else this.#clear(cell);
      return;
    }
    const name = displayName(content.transient);
    if (type === "update_display_data") return this.#update(name, content);
    if (this.#clearsNext[cell]) this.#clear(cell);
    if (type === "stream") return this.#stream(cell, String(content.name), String(content.text));
    const { transient: _, ...fields } = content;
    const output: Output = { output_type: type, ...fields };
    this.#cells[cell].push(output);
    if (name !== null) this.#displays.set(name, [...this.#displays.get(name) ?? [], { cell, output }]);
  }

  #stream(cell: number, name: string, text: string): void {
    const outputs = this.#cells[cell];
    const last = outputs.at(-1);
    const continues = last?.output_type === "stream" && last.name === name;
    if (continues) outputs.pop();
    outputs.push({ output_type: "stream", name, text: continues ? `${last.text}${text}` : text });
  }

  #update(name: string | null, { data, metadata }: Message["content"]): void {
    const shown = name === null ? [] : this.#displays.get(name) ?? [];
    const updated = shown.map(({ cell, output }) => {
      const next: Output = { ...output, data, metadata };
      const outputs = this.#cells[cell];
      const at = outputs.indexOf(output);
      if (at !== -1) outputs[at] = next;
      return { cell, output: next };
    });
    if (name !== null) this.#displays.set(name, updated);
  }

  #clear(cell: number): void {
    this.#cells[cell].length = 0;
    this.#clearsNext[cell] = false;
  }
}

function displayName(transient: unknown): string | null {
  const name = (transient as { display_id?: unknown } | undefined)?.display_id;
  return typeof name === "string" ? name : null;
}
