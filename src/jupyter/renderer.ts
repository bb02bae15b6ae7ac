/**
 * How figures reach the page, chosen once a notebook or for a figure.
 */

import { takeWord } from "../base/names.ts";

/**
 * How a figure is shown:
 *
 * - `"embed"`: interactive, with plotly.js inside the notebook, once; works off line. The default.
 * - `"cdn"`: interactive, with plotly.js from cdn.plot.ly; small notebooks that need a network.
 * - `"json"`: plotly's own media type, for front ends with an extension for it.
 * - `"png"`: a still picture.
 */
export type Renderer = "embed" | "cdn" | "json" | "png";

const RENDERERS: readonly Renderer[] = ["embed", "cdn", "json", "png"];
let renderer: Renderer = "embed";

/**
 * Chooses how figures are shown from now on.
 *
 * @param name `"embed"`, `"cdn"`, `"json"` or `"png"`; a figure may be given one of its own.
 * @returns The one that was chosen before.
 * @throws {InputError} When there is no such renderer.
 *
 * @example
 * ```ts
 * import { setRenderer } from "@attune/attention/jupyter";
 * import { assertEquals } from "@std/assert";
 *
 * const before = setRenderer("png");
 * assertEquals(setRenderer(before), "png");
 * ```
 */
export function setRenderer(name: Renderer): Renderer {
  const before = renderer;
  renderer = toRenderer("setRenderer", name);
  return before;
}

/** The one that was chosen last. */
export function currentRenderer(): Renderer {
  return renderer;
}

/** Checks the name of a renderer. */
export function toRenderer(operation: string, name: unknown): Renderer {
  return takeWord(operation, "renderer", name, RENDERERS);
}
