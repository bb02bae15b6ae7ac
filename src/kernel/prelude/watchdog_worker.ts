/**
 * The program of the worker in `watchdog.ts`.
 */

import { watch, type WatchdogSettings } from "./watchdog.ts";

addEventListener("message", (event) => {
  watch((event as MessageEvent<WatchdogSettings>).data);
});
