// Notebooks as files: nbformat 4, and one stable way to write it.

/** The outputs of a cell. */
export interface Output {
  readonly output_type: string;
  readonly [field: string]: unknown;
}

/** A cell of any kind. */
export interface Cell {
  readonly cell_type: string;
  readonly metadata: { readonly tags?: readonly string[]; readonly [name: string]: unknown };
  readonly source: string | readonly string[];
  readonly execution_count?: number | null;
  readonly outputs?: readonly Output[];
  readonly [field: string]: unknown;
}

/** A notebook. */
export interface Notebook {
  readonly cells: readonly Cell[];
  readonly metadata: { readonly [name: string]: unknown };
  readonly nbformat: number;
  readonly nbformat_minor: number;
}

/** Parts of a text that change from run to run and have no meaning for a reader. */
const VOLATILE = ["execution", "ExecuteTime", "collapsed", "scrolled"];

/** Reads a notebook; throws when the text is none. */
export function parseNotebook(text: string): Notebook {
  const notebook: Notebook = JSON.parse(text);
  if (notebook.nbformat !== 4 || !Array.isArray(notebook.cells)) {
    throw new Error(`parseNotebook: nbformat is ${notebook.nbformat}, expected 4 with cells`);
  }
  return notebook;
}

/** The text of a notebook: names in order, one space a level, texts by lines, no times. */
export function formatNotebook(notebook: Notebook): string {
  const cells = notebook.cells.map((cell) => ({
    ...cell,
    metadata: Object.fromEntries(Object.entries(cell.metadata).filter(([name]) => !VOLATILE.includes(name))),
    source: toLines(cell.source),
    ...(cell.outputs ? { outputs: cell.outputs.map(toStable) } : {}),
  }));
  return `${JSON.stringify(sorted({ ...notebook, cells }), null, 1)}\n`;
}

/** The text of a field that may be a list of lines. */
export function joined(text: unknown): string {
  return Array.isArray(text) ? text.join("") : String(text ?? "");
}

/** The source of a cell. */
export function sourceOf(cell: Cell): string {
  return joined(cell.source);
}

/** Whether a cell has a tag. */
export function hasTag(cell: Cell, tag: string): boolean {
  return cell.metadata.tags?.includes(tag) ?? false;
}

function toStable(output: Output): Output {
  const stable: Record<string, unknown> = { ...output };
  if (output.output_type === "stream") stable.text = toLines(output.text);
  if (isObject(output.data)) {
    stable.data = Object.fromEntries(
      Object.entries(output.data).map(([kind, data]) => [
        kind,
        isText(kind) ? toLines(data) : data,
      ]),
    );
  }
  return stable as Output;
}

function isText(kind: string): boolean {
  return kind.startsWith("text/") || kind === "image/svg+xml" || kind === "application/javascript";
}

function toLines(text: unknown): string[] {
  return joined(text).split(/(?<=\n)/).filter((line) => line !== "");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])]));
}
