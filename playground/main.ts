/**
 * The program of the playground page.
 */

import { complain } from "./alert.ts";
import { App } from "./app.ts";

const page = document.documentElement;
try {
  await App.start();
  page.dataset.playground = "ready";
} catch (error) {
  page.dataset.playground = "failed";
  complain([error]);
}
