// The command line of `deno task bench`.

/** What is asked for. */
export interface BenchOptions {
  /** Small sizes, short looks: whether everything runs, not what it costs. */
  readonly quick: boolean;
  /** A million keys too, which takes minutes. */
  readonly scale: boolean;
  /** Only subjects whose name has one of these in it; all when empty. */
  readonly subjects: readonly string[];
  /** Only these sizes, "128x4096"; all when empty. */
  readonly shapes: readonly string[];
  /** Where the JSON goes. */
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
  const options = {
    quick: false,
    scale: false,
    figures: false,
    subjects: [] as readonly string[],
    shapes: [] as readonly string[],
    output: new URL("results.json", import.meta.url) as string | URL,
  };
  for (const argument of args) {
    const [name, list] = argument.split("=", 2);
    if (argument === "--quick" || argument === "--scale" || argument === "--figures") {
      options[argument.slice(2) as "quick" | "scale" | "figures"] = true;
    } else if (name === "--subjects" && list) options.subjects = list.split(",");
    else if (name === "--shapes" && list && list.split(",").every((shape) => SHAPE.test(shape))) {
      options.shapes = list.split(",");
    } else if (!argument.startsWith("-")) options.output = argument;
    else throw new RangeError(`bench: argument is ${JSON.stringify(argument)}, expected\n${USAGE}`);
  }
  return options;
}
