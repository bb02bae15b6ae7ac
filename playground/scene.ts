/**
 * The contents of all pictures of the page at a moment, and the colour of water.
 */

import { SEQUENTIAL, styleAt } from "../src/display/color_scales.ts";
import type { PageTheme } from "../src/jupyter/live/page/theme.ts";
import type { Look } from "./lab.ts";
import { type Buoy, COLDEST, type Place, WARMEST } from "./sea.ts";

/** More buoys are not drawn: those of the first slots are. */
export const MOST_DRAWN = 400;

/** A buoy that is drawn. */
export interface ShownBuoy extends Buoy {
  readonly slot: number;
  /** Its share of the heaviest weight among those drawn, for the query that is looked at. */
  readonly share: number;
  readonly weight: number;
}

/** A moment. */
export interface Scene {
  readonly look: Look;
  readonly buoys: readonly ShownBuoy[];
  readonly queries: readonly Place[];
  /** The query and the slot that are looked at. */
  readonly query: number;
  readonly slot: number;
  readonly theme: PageTheme;
}

/** The share of the way from the coldest water to the warmest. */
export function warmth(temperature: number): number {
  return (temperature - COLDEST) / (WARMEST - COLDEST);
}

/** The colour of water of a temperature, for style sheets and canvases. */
export function waterStyle(temperature: number): string {
  return styleAt(SEQUENTIAL, warmth(temperature));
}

/** `15.3 °C`, with as many digits as are asked for. */
export function degrees(temperature: number, digits = 1): string {
  return `${temperature.toFixed(digits).replace("-", "−")} °C`;
}
