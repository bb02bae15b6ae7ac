/**
 * Controls with a name and a value each, and pictures: what all widgets are made of. How a front end shows it is up to a
 * face.
 *
 * Invariant: the values here are the ones that count. What a front end sends is checked before it becomes a value; a value
 * that code sets is sent to the front end and not told to listeners.
 */

import { describe, InputError } from "../../base/errors.ts";

/** A value that a control can have. */
export type ControlValue = number | string | boolean;

/** A control. */
export type ControlSpec =
  | {
    readonly kind: "slider";
    readonly label: string;
    readonly min: number;
    readonly max: number;
    readonly step: number;
  }
  | { readonly kind: "select"; readonly label: string; readonly options: readonly string[] }
  | { readonly kind: "toggle"; readonly label: string }
  | { readonly kind: "button"; readonly label: string };

/** Shows a panel in a kind of front end. */
export interface Face {
  /** What is shown below the cell. */
  bundle(): Record<string, unknown>;
  /** Sends a value. */
  sendValue(name: string, value: ControlValue): void;
  /** Sends one of the pictures. */
  sendPicture(at: number): void;
  /** Takes it away. */
  close(): void;
}

/** Makes a face. */
export type FaceMaker = (panel: Panel) => Face;

/** Controls and pictures. */
export class Panel {
  readonly controls: ReadonlyMap<string, ControlSpec>;
  readonly #values: Map<string, ControlValue>;
  readonly #listeners = new Set<(name: string, value: ControlValue) => unknown>();
  readonly #faces: Face[] = [];
  #pictures: readonly string[] = [];

  constructor(
    controls: Readonly<Record<string, ControlSpec>>,
    values: Readonly<Record<string, ControlValue>>,
  ) {
    this.controls = new Map(Object.entries(controls));
    this.#values = new Map(Object.entries(values));
  }

  /** A control's value; a button has the number of clicks. */
  value(name: string): ControlValue {
    return this.#values.get(name) as ControlValue;
  }

  /** Sets a value; it is moved to the nearest one that the control can have. */
  setValue(operation: string, name: string, value: unknown): void {
    const checked = this.#check(name, value);
    if (checked === null) {
      throw new InputError(operation, `value is ${describe(value)}`, wish(this.controls.get(name)));
    }
    this.#values.set(name, checked);
    for (const face of this.#faces) face.sendValue(name, checked);
  }

  /** As SVG, one below the other; their number never changes once it is shown. */
  get pictures(): readonly string[] {
    return this.#pictures;
  }

  /** Draws; only pictures that have changed are sent. */
  set pictures(pictures: readonly string[]) {
    const before = this.#pictures;
    this.#pictures = pictures;
    for (let at = 0; at < pictures.length; at++) {
      if (pictures[at] === before[at]) continue;
      for (const face of this.#faces) face.sendPicture(at);
    }
  }

  /** Takes what a front end says; what it must not say is passed over. */
  async take(name: string, value: unknown): Promise<void> {
    const checked = this.#check(name, value);
    if (checked === null) return;
    this.#values.set(name, checked);
    await Promise.all([...this.#listeners].map((listener) => listener(name, checked)));
  }

  /** Tells a listener of what the reader does; returns how to end that. */
  listen(listener: (name: string, value: ControlValue) => unknown): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Shows it once more, or for the first time. */
  show(make: FaceMaker): Record<string, unknown> {
    if (this.#faces.length === 0) this.#faces.push(make(this));
    return this.#faces[0].bundle();
  }

  /** Takes it away everywhere. */
  close(): void {
    for (const face of this.#faces.splice(0)) face.close();
    this.#listeners.clear();
  }

  /** The value as the control has it; null when it cannot have it. */
  #check(name: string, value: unknown): ControlValue | null {
    const spec = this.controls.get(name);
    switch (spec?.kind) {
      case "slider": {
        if (typeof value !== "number" || !Number.isFinite(value)) return null;
        const { min, max, step } = spec;
        const steps = Math.round((Math.min(Math.max(value, min), max) - min) / step);
        // The digits of the step are those of the value.
        return Math.min(Number((min + steps * step).toPrecision(12)), max);
      }
      case "select":
        return typeof value === "string" && spec.options.includes(value) ? value : null;
      case "toggle":
        return typeof value === "boolean" ? value : null;
      case "button":
        return typeof value === "number" ? value : null;
      default:
        return null;
    }
  }
}

function wish(spec: ControlSpec | undefined): string {
  switch (spec?.kind) {
    case "slider":
      return "a finite number";
    case "select":
      return `one of ${spec.options.map((option) => JSON.stringify(option)).join(", ")}`;
    default:
      return "true or false";
  }
}
