// The command line of `deno task bench`.

import { parseArgs } from "node:util";

/** The options of the benchmark. */
export interface BenchOptions {
  /** Small sizes, short looks: whether everything runs, not what it costs. */
  readonly quick: boolean;
  /** A million keys too, which takes minutes. */
  readonly scale: boolean;
  /** Only subjects whose name has one of these in it; all when empty. */
  readonly subjects: readonly string[];
  /** Only these sizes, "128x4096"; all when empty. */
  readonly shapes: readonly string[];
  /** The file for the results. */
  readonly output: string | URL;
  /** Whether docs/bench-*.png are drawn. */
  readonly figures: boolean;
}

export const USAGE =
  `deno task bench [--quick] [--scale] [--figures] [--subjects=NAME,…] [--shapes=128x4096,…] [FILE]

  --quick      small sizes and short looks
  --scale      1,000,000 keys and 1,024 queries too, minutes
  --figures    draws docs/bench-*.png too, with Chromium
  --subjects   only those whose names contain one of these words, "array", "onnxruntime-node"
  --shapes     only these, queries x keys
  FILE         where the JSON goes, bench/results.json unless given`;

const SHAPE = /^\d+x\d+$/;

/** @throws {RangeError} When an argument is not known. */
export function parseOptions(args: readonly string[]): BenchOptions {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        quick: { type: "boolean", default: false },
        scale: { type: "boolean", default: false },
        figures: { type: "boolean", default: false },
        subjects: { type: "string" },
        shapes: { type: "string" },
      },
      allowPositionals: true,
    });
    const { quick, scale, figures } = values;
    const list = (text: string | undefined) => text === undefined ? [] : text.split(",");
    const subjects = list(values.subjects), shapes = list(values.shapes);
    const strange = shapes.find((shape) => !SHAPE.test(shape)) ?? subjects.find((name) => name === "") ??
      positionals.at(1);
    if (strange !== undefined) throw new RangeError(`${JSON.stringify(strange)} is not known`);
    const output = positionals[0] ?? new URL("results.json", import.meta.url);
    return { quick, scale, figures, subjects, shapes, output };
  } catch (error) {
    throw new RangeError(`bench: ${error instanceof Error ? error.message : error}, expected\n${USAGE}`);
  }
}
