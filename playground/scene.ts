/**
 * What is drawn at a moment, for all pictures of the page, and the colour of water.
 */

import { colorAt, SEQUENTIAL } from "../src/display/color_scales.ts";
import type { Palette } from "../src/jupyter/live/page/theme.ts";
import type { Look } from "./lab.ts";
import { type Buoy, COLDEST, type Place, WARMEST } from "./sea.ts";

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
  readonly palette: Palette;
}

/** Red, green and blue of water of a temperature. */
export function waterColour(temperature: number): [red: number, green: number, blue: number] {
  return colorAt(SEQUENTIAL, (temperature - COLDEST) / (WARMEST - COLDEST));
}

/** The same for style sheets and canvases. */
export function waterStyle(temperature: number, alpha = 1): string {
  return `rgb(${waterColour(temperature).join(" ")} / ${alpha})`;
}

/** `15.3 °C`, with as many digits as are asked for. */
export function degrees(temperature: number, digits = 1): string {
  return `${temperature.toFixed(digits).replace("-", "−")} °C`;
}
