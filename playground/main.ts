/**
 * The program of the playground page.
 */

import { App } from "./app.ts";
import { complain } from "./page.ts";

const page = document.documentElement;
try {
  await App.start();
  page.dataset.playground = "ready";
} catch (error) {
  page.dataset.playground = "failed";
  complain([error]);
}
