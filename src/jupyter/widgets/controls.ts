/**
 * Controls with one value: slider, select, toggle, button.
 */

import { describe, InputError } from "../../base/errors.ts";
import { reading } from "../../base/lists.ts";
import { takeOptions } from "../../base/names.ts";
import { type ControlSpec, type ControlValue, Panel } from "./panel.ts";
import { Widget } from "./widget.ts";

/** A widget with one value. */
export class Control<T extends ControlValue> extends Widget {
  /**
   * What it is made of.
   *
   * @ignore
   */
  protected override readonly panel: Panel;
  readonly #operation: string;

  /** Made by `slider`, `select`, `toggle` and `button`. */
  constructor(operation: string, spec: ControlSpec, value: T) {
    super();
    this.#operation = operation;
    this.panel = new Panel({ value: spec }, { value });
  }

  /** What the reader has chosen last, or the code has set. A button has the number of its clicks. */
  get value(): T {
    return this.panel.value("value") as T;
  }

  /** Sets it, here and in all pages; listeners are not told. */
  set value(value: T) {
    this.panel.setValue(`${this.#operation}.value`, "value", value);
  }

  /**
   * Tells a listener of every change that the reader makes, in order. The front end sends the next one when what the
   * listener returns is done.
   *
   * @returns A function that ends it.
   */
  onChange(listener: (value: T) => unknown): () => void {
    if (typeof listener !== "function") {
      throw new InputError(`${this.#operation}.onChange`, `listener is ${describe(listener)}`, "a function");
    }
    return this.panel.listen((_, value) => listener(value as T));
  }
}

/** What a slider may be told. */
export interface SliderOptions {
  /** What stands beside it; nothing unless given. */
  readonly label?: string;
  /** The least value; 0 unless given. */
  readonly min?: number;
  /** The greatest value; 1 unless given. */
  readonly max?: number;
  /** Between neighbours; a hundredth of the way unless given. */
  readonly step?: number;
  /** Where it stands at first; `min` unless given. */
  readonly value?: number;
}

/**
 * A slider.
 *
 * @throws {InputError} When a number is not finite, `max` is not above `min`, or `step` is not above 0.
 *
 * @example
 * ```ts
 * import { slider } from "@attune/attention/widgets";
 * import { assertEquals } from "@std/assert";
 *
 * const scale = slider({ label: "scale", max: 2, step: 0.5 });
 * scale.onChange((value) => console.log(value));
 * scale.value = 1.2;
 * assertEquals(scale.value, 1); // the nearest one that it can have
 * ```
 */
export function slider(options: SliderOptions = {}): Control<number> {
  const operation = "slider";
  const given = reading(
    operation,
    () => takeOptions(operation, options, ["label", "min", "max", "step", "value"]),
  );
  const { label = "", min = 0, max = 1 } = given;
  for (const [name, number] of Object.entries({ min, max })) checkNumber(operation, name, number);
  const { step = (max - min) / 100, value = min } = given;
  for (const [name, number] of Object.entries({ step, value })) checkNumber(operation, name, number);
  if (max <= min) throw new InputError(operation, `max is ${max}`, `more than min, ${min}`);
  if (step <= 0) throw new InputError(operation, `step is ${step}`, "more than 0");
  const control = new Control<number>(operation, {
    kind: "slider",
    label: text(operation, label),
    min,
    max,
    step,
  }, min);
  control.value = value;
  return control;
}

/**
 * A list of which one is chosen.
 *
 * @param options What can be chosen, texts that differ.
 * @param settings Its label, and what is chosen at first: the first one unless given.
 * @throws {InputError} When there is nothing to choose, something is no text or twice there, or the value is not among them.
 *
 * @example
 * ```ts
 * import { select } from "@attune/attention/widgets";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = select(["array", "wasm"], { label: "backend", value: "wasm" });
 * backend.onChange((name) => console.log(`computes on ${name}`));
 * assertEquals(backend.value, "wasm"); // as the last line of a cell, `backend` shows the list
 * ```
 */
export function select(
  options: readonly string[],
  settings: { readonly label?: string; readonly value?: string } = {},
): Control<string> {
  const operation = "select";
  const texts = reading(operation, () => takeTexts(options));
  if (texts.length === 0 || new Set(texts).size < texts.length) {
    throw new InputError(operation, `options are ${describe(options)}`, "texts that differ, one at least");
  }
  const { label = "", value = texts[0] } = takeOptions(operation, settings, ["label", "value"], "setting");
  const spec = { kind: "select", label: text(operation, label), options: texts } as const;
  const control = new Control<string>(operation, spec, texts[0]);
  control.value = value;
  return control;
}

/** A copy of a list of texts; an empty one where it is no such list. */
function takeTexts(options: unknown): readonly string[] {
  if (!Array.isArray(options)) return [];
  // A loop is used, since `filter` skips holes.
  const texts = Array.from<unknown>(options);
  return texts.every((entry) => typeof entry === "string") ? texts : [];
}

/**
 * A switch: true or false, which it is at first unless given.
 *
 * @example
 * ```ts
 * import { toggle } from "@attune/attention/widgets";
 * import { assertEquals } from "@std/assert";
 *
 * const causal = toggle("causal", true);
 * causal.onChange((isOn) => console.log(isOn ? "looks back" : "looks everywhere"));
 * assertEquals(causal.value, true);
 * ```
 */
export function toggle(label: string, value = false): Control<boolean> {
  const control = new Control<boolean>("toggle", { kind: "toggle", label: text("toggle", label) }, false);
  control.value = value;
  return control;
}

/**
 * A button; `value` is the number of its clicks.
 *
 * @example
 * ```ts
 * import { button } from "@attune/attention/widgets";
 * import { assertEquals } from "@std/assert";
 *
 * const again = button("Learn again");
 * again.onChange((clicks) => console.log(`click ${clicks}`));
 * assertEquals(again.value, 0);
 * ```
 */
export function button(label: string): Control<number> {
  return new Control<number>("button", { kind: "button", label: text("button", label) }, 0);
}

function checkNumber(operation: string, name: string, number: unknown): void {
  if (Number.isFinite(number)) return;
  throw new InputError(operation, `${name} is ${describe(number)}`, "a finite number");
}

function text(operation: string, label: unknown): string {
  if (typeof label === "string") return label;
  throw new InputError(operation, `label is ${describe(label)}`, "a text");
}
