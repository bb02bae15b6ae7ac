/**
 * The program that a page runs: it puts `attuneLiveStart` where the script that started it takes it.
 */

import type { FigureData } from "../figure_data.ts";
import { showFigure } from "./figure.ts";
import { LiveModel } from "./model.ts";

/** Brings a waiting host to life. What it shows until then stays if that fails, with the reason below. */
async function start(host: HTMLElement): Promise<void> {
  try {
    const data: FigureData = JSON.parse(host.dataset.figure ?? "");
    await showFigure(host, await LiveModel.create(data));
    host.dataset.attuneLive = "ready";
  } catch (error) {
    host.dataset.attuneLive = "failed";
    const reason = document.createElement("p");
    reason.textContent = `This figure could not start: ${error instanceof Error ? error.message : error}`;
    // A shadow tree, if there is one already, lets through what the host showed before.
    (host.shadowRoot ?? host).replaceChildren(
      ...host.shadowRoot ? [document.createElement("slot")] : host.childNodes,
      reason,
    );
  }
}

Reflect.set(globalThis, "attuneLiveStart", start);
