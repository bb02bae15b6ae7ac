/**
 * Something that a notebook shows and that answers.
 */

import { InputError } from "../../base/errors.ts";
import { anywidgetFace } from "./anywidget_face.ts";
import { ipywidgetsFace } from "./ipywidgets_face.ts";
import { notebookKernel } from "../kernel.ts";
import { broadcastDisplay, kernelBridge } from "./kernel_bridge.ts";
import type { FaceMaker, Panel } from "./panel.ts";
import { plainText, stillHtml } from "./picture.ts";

/** How widgets speak to the front end: "auto" takes what was found where the kernel was started. */
export type WidgetProtocol = "auto" | "ipywidgets" | "anywidget";

const DISPLAY: unique symbol = Symbol.for("Jupyter.display") as never;
const INSPECT: unique symbol = Symbol.for("Deno.customInspect") as never;
const PROTOCOLS: readonly WidgetProtocol[] = ["auto", "ipywidgets", "anywidget"];
/** Where nothing was found the newest is the best guess. */
const NEWEST = 8;

let protocol: WidgetProtocol = "auto";

/**
 * Chooses how the widgets that are shown from now on speak to the front end.
 *
 * @param wanted "ipywidgets" takes the controls of ipywidgets, "anywidget" those of this library; "auto", the default,
 * takes anywidget where it is installed and ipywidgets else.
 * @throws {InputError} When it is none of them.
 */
export function setWidgetProtocol(wanted: WidgetProtocol): void {
  if (!PROTOCOLS.includes(wanted)) {
    throw new InputError("setWidgetProtocol", `protocol is ${Deno.inspect(wanted)}`, PROTOCOLS.join(", "));
  }
  protocol = wanted;
}

/** What all widgets have. */
export abstract class Widget implements Disposable {
  /**
   * What it is made of.
   *
   * @ignore
   */
  protected abstract readonly panel: Panel;

  /** Shows it below the cell that runs; as the last value of a cell it shows itself. Outside of a notebook it is printed. */
  async show(): Promise<void> {
    if (notebookKernel()) await broadcastDisplay(this[DISPLAY]());
    else console.log(this[INSPECT]());
  }

  /** Takes it away from all pages. Its value stays as it is. */
  close(): void {
    this.panel.close();
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** What a notebook shows. */
  [DISPLAY](): Record<string, unknown> {
    const make = faceMaker();
    if (make) return this.panel.show(make);
    return { "text/html": stillHtml(this.panel), "text/plain": plainText(this.panel) };
  }

  /** What a terminal shows. */
  [INSPECT](): string {
    return plainText(this.panel);
  }
}

/** Null where no widget can answer. */
function faceMaker(): FaceMaker | null {
  const bridge = kernelBridge();
  if (!bridge) return null;
  const { ipywidgets, anywidget } = bridge.frontEnd;
  const isOwn = protocol === "anywidget" || protocol === "auto" && anywidget;
  return isOwn ? anywidgetFace(bridge) : ipywidgetsFace(bridge, ipywidgets ?? NEWEST);
}
