// The pictures of the documentation, docs/bench-*.png, drawn by a headless browser.

import { chromium } from "playwright-core";
import { BROWSER_SWITCHES } from "../../studies/browser.ts";
import { renderScripts } from "../../studies/report.ts";
import type { BenchResults } from "../results.ts";
import { benchFigures } from "./figures.ts";

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FOLDER = new URL("../../docs/", import.meta.url);
const WIDTH = 960, HEIGHT = 520;

/** @throws {Error} When there is no browser. */
export async function drawFigures(results: BenchResults, plotly: string): Promise<void> {
  const executablePath = await firstExisting(BROWSERS);
  if (executablePath === null) {
    throw new Error(`figures: no browser to draw with, expected one of ${BROWSERS.join(", ")}`);
  }
  const browser = await chromium.launch({ executablePath, args: [...BROWSER_SWITCHES] });
  try {
    for (const [name, figure] of Object.entries(benchFigures(results))) {
      const page = await browser.newPage({
        viewport: { width: WIDTH, height: HEIGHT },
        deviceScaleFactor: 2,
        colorScheme: "light",
      });
      await page.setContent(`<!DOCTYPE html><meta charset="utf-8"><style>body { margin: 0 }</style>
<div id="${name}" style="height: ${HEIGHT}px"></div>
${renderScripts({ [name]: figure }, plotly)}`);
      await page.waitForSelector(`#${name} .main-svg`);
      await Deno.writeFile(new URL(`bench-${name}.png`, FOLDER), await page.screenshot());
      await page.close();
    }
  } finally {
    await browser.close();
  }
}

async function firstExisting(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    try {
      await Deno.stat(path);
      return path;
    } catch {
      // The next one, then.
    }
  }
  return null;
}
