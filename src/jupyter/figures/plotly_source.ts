/**
 * The source of plotly.js as text, 1.5 MB: a file of its own, so that only what writes a page loads it.
 */

// deno-lint-ignore no-import-prefix -- what is published names its dependencies in full.
import source from "npm:plotly.js-cartesian-dist-min@4.1.1/plotly-cartesian.min.js" with { type: "text" };

/** The program that defines the global `Plotly`. */
export const PLOTLY_SOURCE: string = source;
