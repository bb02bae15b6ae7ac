/**
 * The figure as a value: checked when it is made, displayed when a notebook asks.
 */

import { toBase64 } from "../../display/base64.ts";
import { DISPLAY, INSPECT, type MimeBundle } from "../../display/mime_bundle.ts";
import { describe, InputError } from "../../base/errors.ts";
import type { Mask } from "../../write/mask.ts";
import { reading } from "../../base/lists.ts";
import { readFields, takeOptions } from "../../base/names.ts";
import { type DynamicAttentionOptions, type EngineProblem, toEngineProblem } from "../../engine/options.ts";
import { type FigureData, packMatrix } from "./figure_data.ts";
import { embedFigure, embedPage } from "./embed.ts";
import { weightsPng } from "../../display/heatmap.ts";

/** What a figure is made of: the options of an engine, as far as they are plain data, and names. */
export interface LiveAttentionOptions extends
  Pick<
    DynamicAttentionOptions,
    | "query"
    | "key"
    | "value"
    | "heads"
    | "kvHeads"
    | "scale"
    | "softcap"
    | "mask"
    | "causal"
    | "window"
    | "queryPositions"
    | "keyPositions"
  > {
  /** Names of the keys, one each, and of the queries where there are as many; 0, 1, 2, … unless given. */
  readonly labels?: readonly string[];
  /** Names of the queries, where they have others. */
  readonly queryLabels?: readonly string[];
  /** How many changed keys a stale answer may miss when the figure opens: an integer ≥ 1, or Infinity; 4 unless given. */
  readonly lazyThreshold?: number;
  /** Stands above the figure; "Attention, live" unless given. */
  readonly title?: string;
}

/** What a display shows, by media type. */
export interface LiveDisplay extends MimeBundle {
  /** The figure, with a picture in its place where no script runs. */
  readonly "text/html": string;
  /** The heaviest keys of the first queries. */
  readonly "text/plain": string;
  /** The weights of head 0, in base64. */
  readonly "image/png": string;
}

const OPERATION = "liveAttention";
const ENGINE_NAMES = [
  ...["query", "key", "value", "heads", "kvHeads", "scale", "softcap", "mask", "causal", "window"] as const,
  ...["queryPositions", "keyPositions"] as const,
];
const NAMES: readonly (keyof LiveAttentionOptions)[] = [
  ...ENGINE_NAMES,
  ...["labels", "queryLabels", "lazyThreshold", "title"] as const,
];
/** More rows than this are not told apart in a figure. */
const MOST_ROWS = 256;
/** Numbers that a notebook is asked to carry: a megabyte of float32. */
const MOST_NUMBERS = 2 ** 18;
const THRESHOLD = 4;

/**
 * A figure of softmax(scale · Q Kᵀ) V in which the reader changes things: sliders for the lazy threshold, scale, softcap,
 * and one key, by its length, its angle towards a query, or any of its numbers. Attention is computed in the page, by the
 * engine of this library, so the figure lives also in an exported page, off line, and with no kernel. It shows the weights
 * as a map, the output of a row, the stale answer with its certified bound beside the exact one, and the counted work.
 *
 * As the last expression of a cell it is displayed. Each display carries the program, about 76 KB, and the data.
 *
 * @param options Q (m × H·d), K (n × Hkv·d), V (n × Hkv·dv) with 1 to 256 rows each and 2¹⁸ numbers in all; a mask
 * must be matrices, since a page cannot ask a function.
 * @throws {InputError} When shapes, names or an option do not fit.
 *
 * @example
 * ```ts
 * import { liveAttention } from "@attune/attention/jupyter";
 * import { assert } from "@std/assert";
 *
 * const figure = liveAttention({
 *   query: [[1, 0], [0, 1]],
 *   key: [[1, 0], [0, 1], [1, 1]],
 *   value: [[1], [2], [3]],
 *   queryLabels: ["who", "where"],
 *   labels: ["Ada", "London", "here"],
 * });
 * assert((await figure.toPage()).startsWith("<!doctype html>"));
 * ```
 */
export function liveAttention(options: LiveAttentionOptions): LiveFigure {
  return reading(OPERATION, () => toFigure(takeOptions(OPERATION, options, NAMES)));
}

function toFigure(options: LiveAttentionOptions): LiveFigure {
  const { lazyThreshold = THRESHOLD, title = "Attention, live" } = options;
  if (lazyThreshold !== Infinity && !(Number.isSafeInteger(lazyThreshold) && lazyThreshold >= 1)) {
    throw new InputError(
      OPERATION,
      `lazyThreshold is ${describe(lazyThreshold)}`,
      "an integer ≥ 1 or Infinity",
    );
  }
  if (typeof title !== "string") throw new InputError(OPERATION, `title is ${describe(title)}`, "a text");
  const engineOptions = readFields(options, ENGINE_NAMES) as DynamicAttentionOptions;
  const problem = toEngineProblem(OPERATION, { ...engineOptions, backend: "array" });
  if (problem.extras) {
    throw new InputError(OPERATION, `window is ${describe(options.window)}`, "[left ≥ 0, right ≥ 0]");
  }
  const { query, key, value, layout, rule } = problem;
  checkSizes(problem);
  const keyLabels = toLabels("labels", options.labels, key.shape[0], "one a key");
  const isShared = options.queryLabels === undefined && options.labels !== undefined &&
    query.shape[0] === key.shape[0];
  const queryLabels = isShared
    ? keyLabels
    : toLabels("queryLabels", options.queryLabels, query.shape[0], "one a query");
  const finite = (reach: number) => reach === Infinity ? null : reach;
  return new LiveFigure({
    title,
    query: packMatrix(query.data, ...query.shape),
    key: packMatrix(key.data, ...key.shape),
    value: packMatrix(value.data, ...value.shape),
    queryLabels,
    keyLabels,
    heads: layout.heads,
    kvHeads: layout.kvHeads,
    scale: rule.scale,
    softcap: rule.softcap,
    window: [finite(rule.before), finite(rule.after)],
    queryPositions: [...problem.queryPositions],
    keyPositions: [...problem.keyPositions],
    mask: toMatrices(problem.mask),
    lazyThreshold: finite(lazyThreshold),
  }, problem);
}

/** A figure that a notebook displays; {@link liveAttention} makes it. */
export class LiveFigure {
  readonly #data: FigureData;
  readonly #problem: EngineProblem;

  /** Takes data that were checked. */
  constructor(data: FigureData, problem: EngineProblem) {
    this.#data = data;
    this.#problem = problem;
  }

  /** The output of a cell: HTML that lives where scripts run, a picture where none do, and text. O(m n d) once. */
  async toDisplay(): Promise<LiveDisplay> {
    const { weights, text } = await this.#still();
    const size = Math.max(1, Math.min(24, Math.floor(480 / Math.max(weights.length, weights[0].length))));
    const { PROGRAM, VERSION } = await import("./program.ts");
    const html = embedFigure({
      data: this.#data,
      // The picture has one pixel for each pair, which the page enlarges.
      picture: await weightsPng(weights, 1),
      size: [size * weights[0].length, size * weights.length],
      text,
      program: PROGRAM,
      version: VERSION,
    });
    return {
      "text/html": html,
      "text/plain": text,
      "image/png": toBase64(await weightsPng(weights, size)),
    };
  }

  /** A page of its own, which needs nothing else. */
  async toPage(): Promise<string> {
    const { "text/html": html } = await this.toDisplay();
    return embedPage(this.#data.title, html);
  }

  /** What a notebook asks for. */
  [DISPLAY](): Promise<LiveDisplay> {
    return this.toDisplay();
  }

  /** What a terminal shows. */
  [INSPECT](): string {
    const { queryLabels, keyLabels } = this.#data;
    return `LiveFigure of ${queryLabels.length} queries over ${keyLabels.length} keys: ` +
      "a notebook displays it, toPage() makes a page of it";
  }

  /** The weights of head 0, and what they say in words. */
  async #still(): Promise<{ weights: Float32Array[]; text: string }> {
    const { DynamicAttention } = await import("../../engine/dynamic_attention.ts");
    const { layout, rule, mask, queryPositions, keyPositions } = this.#problem;
    const { scale, softcap, before, after } = rule;
    // A problem knows more of a matrix than options take.
    const [query, key, value] = [this.#problem.query, this.#problem.key, this.#problem.value].map((
      { data, shape },
    ) => ({ data, shape }));
    const matrices = mask?.matrices.map(({ data, rows, columns }) => ({
      data,
      shape: [rows, columns] as const,
    }));
    const engine = await DynamicAttention.create({
      ...{ query, key, value, queryPositions, keyPositions, scale, softcap, backend: "array" as const },
      ...{ heads: layout.heads, kvHeads: layout.kvHeads, window: [before, after] as const },
      ...(matrices ? { mask: matrices.length === 1 ? matrices[0] : matrices } : {}),
    });
    try {
      const weights: Float32Array[] = [];
      for (let i = 0; i < query.shape[0]; i++) weights.push(await engine.weights(i));
      return { weights, text: describeWeights(this.#data, weights) };
    } finally {
      await engine.dispose();
    }
  }
}

function describeWeights(
  { title, queryLabels, keyLabels }: FigureData,
  weights: readonly Float32Array[],
): string {
  const lines = weights.slice(0, 8).map((row, i) => {
    const heaviest = [...row.keys()].sort((a, b) => row[b] - row[a]).slice(0, 3).filter((j) => row[j] > 0);
    return `${queryLabels[i]} → ${heaviest.map((j) => `${keyLabels[j]} ${row[j].toFixed(3)}`).join(", ")}`;
  });
  if (weights.length > 8) lines.push("…");
  return [`${title}: ${queryLabels.length} queries over ${keyLabels.length} keys`, ...lines].join("\n");
}

function checkSizes({ query, key, value }: EngineProblem): void {
  for (const [name, { shape: [rows] }] of [["query", query], ["key", key]] as const) {
    if (rows < 1 || rows > MOST_ROWS) {
      throw new InputError(
        OPERATION,
        `${name} has ${rows} rows`,
        `1 to ${MOST_ROWS}, which a figure can show`,
      );
    }
  }
  const numbers = query.data.length + key.data.length + value.data.length;
  if (numbers > MOST_NUMBERS) {
    throw new InputError(
      OPERATION,
      `the matrices have ${numbers} numbers`,
      `at most ${MOST_NUMBERS}, for the page`,
    );
  }
}

function toLabels(
  name: string,
  labels: readonly string[] | undefined,
  count: number,
  meaning: string,
): readonly string[] {
  if (labels === undefined) return Array.from({ length: count }, (_, at) => String(at));
  if (!Array.isArray(labels)) {
    throw new InputError(OPERATION, `${name} is ${describe(labels)}`, "an array of texts");
  }
  if (labels.length !== count) {
    throw new InputError(OPERATION, `${name} has ${labels.length} texts`, `${count} (${meaning})`);
  }
  // Array.from, since findIndex would read a hole as undefined and map would skip it.
  const copied = Array.from(labels);
  const bad = copied.findIndex((label) => typeof label !== "string");
  if (bad >= 0) {
    throw new InputError(OPERATION, `${name} has ${describe(copied[bad])} at index ${bad}`, "texts");
  }
  return copied;
}

function toMatrices(mask: Mask | null): FigureData["mask"] {
  if (!mask) return [];
  if (mask.isFunction) {
    throw new InputError(OPERATION, "mask is a function", "matrices, which a page can carry");
  }
  return mask.matrices.map(({ data, rows, columns }) => packMatrix(data, rows, columns));
}
