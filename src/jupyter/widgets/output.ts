/**
 * A place below a cell whose content changes.
 */

import { describe, InputError } from "../../base/errors.ts";
import { reading } from "../../base/lists.ts";
import { notebookKernel } from "../kernel.ts";
import { Control } from "./controls.ts";
import type { ControlValue } from "./panel.ts";

/** A place whose content changes: each `set` takes the place of the one before, in all pages. */
export class Output {
  readonly #id = `attune-output-${crypto.randomUUID()}`;
  #isShown = false;

  /** Shows a value here, as the last value of a cell would be shown. Outside of a notebook it is printed. */
  async set(value: unknown): Promise<void> {
    const kernel = notebookKernel();
    if (!kernel) return console.log(value);
    await this.#show(await kernel.format(value));
  }

  /** Leaves the place empty. */
  async clear(): Promise<void> {
    if (this.#isShown) await this.#show({ "text/plain": "" });
  }

  async #show(data: Record<string, unknown>): Promise<void> {
    const kernel = notebookKernel();
    const type = this.#isShown ? "update_display_data" : "display_data";
    this.#isShown = true;
    await kernel?.broadcast(type, { data, metadata: {}, transient: { display_id: this.#id } });
  }
}

/** Controls by name. */
export type InteractControls = Readonly<
  Record<string, Control<never> | Control<number> | Control<string> | Control<boolean>>
>;

/** Their values by name. */
export type InteractValues<C> = { readonly [name in keyof C]: C[name] extends Control<infer T> ? T : never };

/**
 * Shows controls, and below them what a function makes of their values, anew with every change.
 *
 * @param compute What to show; a promise is waited for. What it throws is shown in its place.
 * @param controls Such as `{ scale: slider({ max: 2 }), flag: toggle("flag") }`.
 * @returns The place of the result.
 * @throws {InputError} When `compute` is no function, or one of the controls is none.
 *
 * @example
 * ```ts
 * import { interact, slider } from "@attune/attention/widgets";
 *
 * await interact(({ angle }) => Math.sin(angle).toFixed(3), { angle: slider({ max: 3.14 }) });
 * ```
 */
export async function interact<C extends InteractControls>(
  compute: (values: InteractValues<C>) => unknown,
  controls: C,
): Promise<Output> {
  if (typeof compute !== "function") {
    throw new InputError("interact", `compute is ${describe(compute)}`, "a function");
  }
  const entries = reading("interact", () => takeControls(controls)), output = new Output();
  const run = async () => {
    const values = Object.fromEntries(entries.map(([name, control]) => [name, control.value]));
    try {
      await output.set(await compute(values as InteractValues<C>));
    } catch (error) {
      await output.set(error);
    }
  };
  for (const [, control] of entries) {
    await control.show();
    control.onChange(run);
  }
  await run();
  return output;
}

/** The controls by name, before any of them is shown. */
function takeControls(controls: InteractControls): [string, Control<ControlValue>][] {
  const expected = "an object of controls, such as { scale: slider({ max: 2 }) }";
  if (typeof controls !== "object" || controls === null || Symbol.iterator in controls) {
    throw new InputError("interact", `controls are ${describe(controls)}`, expected);
  }
  return Object.entries<unknown>(controls).map(([name, control]) => {
    if (control instanceof Control) return [name, control];
    throw new InputError("interact", `controls.${name} is ${describe(control)}`, expected);
  });
}
