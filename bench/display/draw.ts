// The pictures of the documentation, docs/bench-*.png, drawn by a headless browser.

import { takePictures } from "../../studies/browser.ts";
import { renderScripts } from "../../studies/figure_page.ts";
import type { BenchResults } from "../results.ts";
import { benchFigures } from "./figures.ts";

const FOLDER = new URL("../../docs/", import.meta.url);
const WIDTH = 960, HEIGHT = 520;

/** @throws {Error} When there is no browser. */
export async function drawFigures(results: BenchResults, plotly: string): Promise<void> {
  const figures = Object.entries(benchFigures(results));
  const pictures = await takePictures(figures.map(([name, figure]) => ({
    body: `<div id="${name}" style="height: ${HEIGHT}px"></div>\n${
      renderScripts({ [name]: figure }, plotly)
    }`,
    width: WIDTH,
    height: HEIGHT,
    drawn: `#${name} .main-svg`,
  })));
  for (const [at, [name]] of figures.entries()) {
    await Deno.writeFile(new URL(`bench-${name}.png`, FOLDER), pictures[at]);
  }
}
