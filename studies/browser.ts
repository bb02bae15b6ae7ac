// How a headless Chromium is started here: without services that would look for a network.

/** Command-line switches. */
export const BROWSER_SWITCHES: readonly string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
