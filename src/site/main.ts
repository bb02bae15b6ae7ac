/**
 * The program of the playground page.
 */

import { App } from "./app.ts";
import { placeOf } from "./control_panel.ts";

try {
  await App.start();
  document.documentElement.dataset.playground = "ready";
} catch (error) {
  document.documentElement.dataset.playground = "failed";
  const alert = placeOf("alert");
  alert.hidden = false;
  alert.textContent = `The playground could not start. ${
    error instanceof Error ? `${error.name}: ${error.message}` : error
  }`;
}
