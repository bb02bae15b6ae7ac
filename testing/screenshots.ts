// The folder for pictures of pages that people look at: always the same one among the system's temporary
// folders.

import { tmpdir } from "node:os";
import type { Page } from "playwright-core";

/** Takes a picture of the whole page; says where it is. */
export async function keepScreenshot(page: Page, name: string): Promise<string> {
  const path = `${tmpdir()}/attune-screenshots/${name}.png`;
  await page.screenshot({ path, fullPage: true });
  return path;
}
