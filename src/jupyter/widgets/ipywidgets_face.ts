/**
 * Shows a panel with the front end of ipywidgets: a box of its sliders, lists and buttons, and a picture
 * (https://github.com/jupyter-widgets/ipywidgets/blob/main/packages/schema/messages.md). Versions 6, 7 and 8 name and say
 * some things otherwise.
 *
 * Invariant: a value goes back and forth once: what came from the front end is not sent there again.
 */

import type { KernelBridge } from "../../kernel/prelude/bridge.ts";
import { NO_MATH } from "../plain_text.ts";
import { type State, WidgetModel } from "./models.ts";
import type { ControlSpec, ControlValue, Face, Panel } from "./panel.ts";
import { escapeHtml, pictureHtml, plainText } from "./picture.ts";

/** Characters that could begin a formula. */
const FORMULA = /[$\\]/;

/** The models of a version. */
interface Dialect {
  readonly controls: string;
  readonly controlsVersion: string;
  readonly base: string;
  readonly baseVersion: string;
  /** The version of the protocol, in the metadata; null before there was one. */
  readonly protocol: string | null;
}

const DIALECTS: Readonly<Record<number, Dialect>> = {
  6: {
    controls: "jupyter-js-widgets",
    controlsVersion: "~2.1.4",
    base: "jupyter-js-widgets",
    baseVersion: "~2.1.4",
    protocol: null,
  },
  7: {
    controls: "@jupyter-widgets/controls",
    controlsVersion: "1.5.0",
    base: "@jupyter-widgets/base",
    baseVersion: "1.2.0",
    protocol: "2.0.0",
  },
  8: {
    controls: "@jupyter-widgets/controls",
    controlsVersion: "2.0.0",
    base: "@jupyter-widgets/base",
    baseVersion: "2.0.0",
    protocol: "2.1.0",
  },
};
const NAMES = {
  slider: "FloatSlider",
  select: "Dropdown",
  toggle: "ToggleButton",
  button: "Button",
} as const;

/** Makes faces for a version. */
export function ipywidgetsFace(bridge: KernelBridge, version: number): (panel: Panel) => Face {
  const dialect = DIALECTS[version] ?? DIALECTS[8];
  return (panel) => new IpywidgetsFace(panel, bridge, dialect);
}

class IpywidgetsFace implements Face {
  readonly #panel: Panel;
  readonly #dialect: Dialect;
  readonly #models = new Map<string, Model>();
  readonly #pictures: readonly Model[];
  readonly #box: Model;
  /** What comes in and need not go out. */
  #incoming: string | null = null;

  constructor(panel: Panel, bridge: KernelBridge, dialect: Dialect) {
    this.#panel = panel;
    this.#dialect = dialect;
    const open = (name: string, state: State) => this.#open(bridge, name, state);
    for (const [name, spec] of panel.controls) {
      const model = open(NAMES[spec.kind], this.#stateOf(spec, panel.value(name)));
      model.own.onMessage = (data) => this.#take(name, spec, model, data);
      this.#models.set(name, model);
    }
    this.#pictures = panel.pictures.map((svg) => open("HTML", { value: pictureHtml(svg) }));
    const children = [...this.#models.values(), ...this.#pictures];
    this.#box = open("VBox", {
      children: children.map(({ own }) => `IPY_MODEL_${own.comm.id}`),
      box_style: "",
    });
  }

  bundle(): Record<string, unknown> {
    const { protocol } = this.#dialect;
    // Version 6 has to be told to show the widget; later ones find its model in the output.
    if (protocol === null) this.#box.own.comm.send({ method: "display" });
    const version = protocol === null ? {} : { version_major: 2, version_minor: 0 };
    return {
      "application/vnd.jupyter.widget-view+json": { model_id: this.#box.own.comm.id, ...version },
      ...(protocol === null ? {} : { "text/plain": plainText(this.#panel) }),
    };
  }

  sendValue(name: string, value: ControlValue): void {
    const spec = this.#panel.controls.get(name), model = this.#models.get(name);
    if (!spec || !model || this.#incoming === name) return;
    model.own.update(this.#valueState(spec, value));
  }

  sendPicture(at: number): void {
    this.#pictures[at]?.own.update({ value: pictureHtml(this.#panel.pictures[at]) });
  }

  close(): void {
    for (const model of [this.#box, ...this.#models.values(), ...this.#pictures]) {
      model.own.close();
      model.layout.close();
    }
  }

  async #take(name: string, spec: ControlSpec, model: Model, data: State): Promise<void> {
    const { method } = data;
    if (method === "custom") {
      const content = data.content as State | undefined;
      if (spec.kind === "button" && content?.event === "click") {
        await this.#panel.take(name, Number(this.#panel.value(name)) + 1);
      }
      return;
    }
    const state = (method === "backbone" ? data.sync_data : data.state) as State | undefined;
    if (!state) return;
    const value = this.#readValue(spec, state);
    if (value === undefined) return;
    Object.assign(model.own.state, this.#valueState(spec, value));
    await this.#panel.take(name, value);
  }

  /**
   * Versions 6 and 7 take the label beside a control for HTML, 8 for text unless it is told otherwise; all of them look for
   * formulas in it, and take the one on a button for text.
   */
  #labelOf({ kind, label }: ControlSpec): State {
    const isBeside = kind === "slider" || kind === "select", isNewest = this.#dialect === DIALECTS[8];
    if (!isBeside) return { description: label };
    if (!FORMULA.test(label)) return { description: isNewest ? label : escapeHtml(label) };
    const description = `<span class="${NO_MATH}">${escapeHtml(label)}</span>`;
    return { description, ...(isNewest ? { description_allow_html: true } : {}) };
  }

  #stateOf(spec: ControlSpec, value: ControlValue): State {
    const state = { ...this.#labelOf(spec), disabled: false, ...this.#valueState(spec, value) };
    switch (spec.kind) {
      case "slider":
        return {
          ...state,
          ...{ min: spec.min, max: spec.max, step: spec.step, orientation: "horizontal", readout: true },
          ...{ readout_format: readoutFormat(spec.min, spec.step), continuous_update: true },
        };
      case "select":
        return { ...state, _options_labels: [...spec.options] };
      case "toggle":
      case "button":
        return { ...state, tooltip: spec.label, button_style: "", icon: "" };
    }
  }

  /** Version 6 says which label is chosen, later ones the how manieth. */
  #valueState(spec: ControlSpec, value: ControlValue): State {
    if (spec.kind === "button") return {};
    if (spec.kind !== "select" || this.#dialect.protocol === null) return { value };
    return { index: spec.options.indexOf(String(value)) };
  }

  #readValue(spec: ControlSpec, state: State): ControlValue | undefined {
    if (spec.kind === "select" && this.#dialect.protocol !== null) return spec.options[Number(state.index)];
    return state.value as ControlValue | undefined;
  }

  #open(bridge: KernelBridge, name: string, values: State): Model {
    const { base, baseVersion, controls, controlsVersion } = this.#dialect;
    const layout = new WidgetModel(bridge, this.#dialect, named("Layout", base, baseVersion, {}));
    const state = named(name, controls, controlsVersion, {
      ...values,
      layout: `IPY_MODEL_${layout.comm.id}`,
    });
    return { own: new WidgetModel(bridge, this.#dialect, state), layout };
  }
}

/** As many digits behind the point as the values have, three at most. */
function readoutFormat(min: number, step: number): string {
  const digits = [min, step].map((number) => String(number).split(".")[1]?.length ?? 0);
  return `.${Math.min(3, Math.max(...digits))}f`;
}

interface Model {
  readonly own: WidgetModel;
  readonly layout: WidgetModel;
}

function named(name: string, module: string, version: string, values: State): State {
  return {
    _model_name: `${name}Model`,
    _model_module: module,
    _model_module_version: version,
    _view_name: `${name}View`,
    _view_module: module,
    _view_module_version: version,
    ...values,
  };
}
