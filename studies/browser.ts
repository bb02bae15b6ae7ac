// How a headless Chromium is started here, and pictures of pages taken by it.

import { chromium } from "playwright-core";

/** Command-line switches; without services that would look for a network. */
export const BROWSER_SWITCHES: readonly string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** A page, and what is there once it is drawn. */
export interface PictureOptions {
  /** The content of the body, including scripts. */
  readonly body: string;
  readonly width: number;
  readonly height: number;
  /** A selector. */
  readonly drawn: string;
}

/**
 * Pictures of pages in light colours, two pixels for one of CSS.
 *
 * @throws {Error} When there is no browser.
 */
export async function takePictures(pages: readonly PictureOptions[]): Promise<Uint8Array[]> {
  const executablePath = BROWSERS.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (executablePath === undefined) {
    throw new Error(`takePictures: there is no browser, expected one of ${BROWSERS.join(", ")}`);
  }
  const browser = await chromium.launch({ executablePath, args: [...BROWSER_SWITCHES] });
  try {
    const pictures: Uint8Array[] = [];
    for (const { body, width, height, drawn } of pages) {
      const page = await browser.newPage({
        viewport: { width, height },
        deviceScaleFactor: 2,
        colorScheme: "light",
      });
      await page.setContent(
        `<!DOCTYPE html><meta charset="utf-8"><style>body { margin: 0 }</style>\n${body}`,
      );
      await page.waitForSelector(drawn);
      pictures.push(await page.screenshot());
      await page.close();
    }
    return pictures;
  } finally {
    await browser.close();
  }
}
