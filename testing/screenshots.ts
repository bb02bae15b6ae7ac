// Where pictures of pages are kept for people to look at: one folder of the system's temporary ones, the same every time.

import { tmpdir } from "node:os";
import type { Page } from "playwright-core";

/** Takes a picture of the whole page; says where it is. */
export async function keepScreenshot(page: Page, name: string): Promise<string> {
  const path = `${tmpdir()}/attune-screenshots/${name}.png`;
  await page.screenshot({ path, fullPage: true });
  return path;
}
