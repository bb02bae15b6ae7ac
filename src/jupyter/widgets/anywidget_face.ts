/**
 * Shows a panel by the protocol of anywidget: one model whose state holds controls, values, pictures and the module that
 * draws them.
 */

import type { KernelBridge } from "../../kernel/prelude/bridge.ts";
import { broadcastDisplay } from "./kernel_bridge.ts";
import { type State, WidgetModel } from "./models.ts";
import type { ControlValue, Face, Panel } from "./panel.ts";
import { CLASSIC_LOADER, PANEL_MODULE } from "./panel_module.ts";
import { plainText } from "./picture.ts";

/** Makes faces. In front ends of version 6 and 7 anywidget may be missing; then a small one of ours is loaded. */
export function anywidgetFace(bridge: KernelBridge): (panel: Panel) => Face {
  return (panel) => new AnywidgetFace(panel, bridge);
}

class AnywidgetFace implements Face {
  readonly #panel: Panel;
  readonly #model: WidgetModel;
  readonly #isClassic: boolean;

  constructor(panel: Panel, bridge: KernelBridge) {
    this.#panel = panel;
    const { ipywidgets, anywidget } = bridge.frontEnd;
    this.#isClassic = ipywidgets === 6;
    if (!anywidget) broadcastDisplay({ "application/javascript": CLASSIC_LOADER, "text/plain": "" });
    this.#model = new WidgetModel(bridge, { protocol: this.#isClassic ? null : "2.1.0" }, this.#state());
    this.#model.onMessage = (data) => this.#take(data);
  }

  bundle(): Record<string, unknown> {
    if (this.#isClassic) this.#model.comm.send({ method: "display" });
    const version = this.#isClassic ? {} : { version_major: 2, version_minor: 1 };
    return {
      "application/vnd.jupyter.widget-view+json": { model_id: this.#model.comm.id, ...version },
      ...(this.#isClassic ? {} : { "text/plain": plainText(this.#panel) }),
    };
  }

  sendValue(name: string, value: ControlValue): void {
    this.#model.update({ values: { ...this.#values(), [name]: value } });
  }

  sendPicture(at: number): void {
    this.#model.update({ [`picture${at}`]: this.#panel.pictures[at] });
  }

  close(): void {
    this.#model.close();
  }

  async #take(data: State): Promise<void> {
    const state = (data.method === "backbone" ? data.sync_data : data.state) as State | undefined;
    const values = state?.values;
    if (typeof values !== "object" || values === null) return;
    for (const [name, value] of Object.entries(values)) {
      if (this.#panel.controls.has(name) && this.#panel.value(name) !== value) {
        await this.#panel.take(name, value);
      }
    }
    Object.assign(this.#model.state, { values: this.#values() });
  }

  #state(): State {
    // The module uses what all versions have, whichever is installed.
    const module = { _module: "anywidget", _module_version: "*" };
    return {
      _model_name: "AnyModel",
      _model_module: module._module,
      _model_module_version: module._module_version,
      _view_name: "AnyView",
      _view_module: module._module,
      _view_module_version: module._module_version,
      _esm: PANEL_MODULE,
      controls: Object.fromEntries(this.#panel.controls),
      values: this.#values(),
      pictures: this.#panel.pictures.length,
      ...Object.fromEntries(this.#panel.pictures.map((svg, at) => [`picture${at}`, svg])),
    };
  }

  #values(): Record<string, ControlValue> {
    return Object.fromEntries(
      [...this.#panel.controls.keys()].map((name) => [name, this.#panel.value(name)]),
    );
  }
}
