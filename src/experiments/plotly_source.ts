// The source of plotly.js as text, 1.5 MB: a file of its own, so that only what writes a report loads it.

import source from "plotly.js-cartesian-dist-min/plotly-cartesian.min.js" with { type: "text" };

/** The program that defines the global `Plotly`. */
export const PLOTLY_SOURCE: string = source;
