// Headless browsers and pages for tests. They wait far longer than a page takes on a busy machine, so that only what hangs
// runs into a limit.

import { type Browser, chromium, type Page } from "playwright-core";
import { BROWSER_SWITCHES } from "../studies/browser.ts";
import { findProgram, requires } from "./requirements.ts";

const browserPath = findProgram("chromium", "google-chrome", "chrome");

/** Whether tests that drive a browser can run. */
export const needsBrowser = requires("chromium", browserPath, "apt-get install chromium");

/** Milliseconds that anything in a browser may take. */
export const PAGE_PATIENCE_MS = 60_000;

/** Starts a browser, which ends with the block that it is of. */
export function openBrowser(switches: readonly string[] = BROWSER_SWITCHES): Promise<Browser> {
  return chromium.launch({
    executablePath: browserPath as string,
    args: [...switches],
    timeout: PAGE_PATIENCE_MS,
  });
}

/** Opens an empty page. */
export async function openPage(
  browser: Browser,
  options: Parameters<Browser["newPage"]>[0] = {},
): Promise<Page> {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(PAGE_PATIENCE_MS);
  return page;
}

/** Reads something until it is so; returns what it was then, or at last. */
export async function readUntil<T>(
  read: () => Promise<T>,
  isSo: (last: T) => boolean,
  patienceMs: number = PAGE_PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  let last = await read();
  while (!isSo(last) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    last = await read();
  }
  return last;
}
