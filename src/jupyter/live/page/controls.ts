/**
 * Sliders and pickers with their names and what they say. All are plain inputs, so keys and screen readers know them.
 */

import { element } from "./dom.ts";

/** A slider. */
export interface Slider {
  readonly element: HTMLElement;
  /** Where it stands. */
  value(): number;
  /** Moves it, and its ends where they are given; nobody is told. */
  set(value: number, range?: readonly [least: number, largest: number, step: number]): void;
  /** Lets it be moved or not. */
  enable(isEnabled: boolean): void;
}

/** Makes a slider. `say` puts its value in words. */
export function slider(
  name: string,
  [least, largest, step]: readonly [least: number, largest: number, step: number],
  start: number,
  say: (value: number) => string,
  onInput: () => void,
): Slider {
  const said = element("output");
  const input = element("input", {
    type: "range",
    min: least,
    max: largest,
    step,
    name,
    input: () => {
      speak();
      onInput();
    },
  });
  const speak = () => {
    said.textContent = say(input.valueAsNumber);
    input.setAttribute("aria-valuetext", said.textContent);
  };
  const set: Slider["set"] = (value, range) => {
    if (range) [input.min, input.max, input.step] = range.map(String);
    input.value = String(value);
    speak();
  };
  set(start);
  return {
    element: element("label", { class: "control" }, element("span", {}, name, said), input),
    value: () => input.valueAsNumber,
    set,
    enable: (isEnabled) => input.toggleAttribute("disabled", !isEnabled),
  };
}

/** A picker of one of several things. */
export interface Picker {
  readonly element: HTMLElement;
  /** The number of what is picked. */
  value(): number;
  /** Picks; nobody is told. */
  set(value: number): void;
}

/** Makes a picker. */
export function picker(name: string, choices: readonly string[], start: number, onInput: () => void): Picker {
  const options = choices.map((choice, at) => element("option", { value: at }, choice));
  const select = element("select", { name, input: onInput }, ...options);
  select.value = String(start);
  return {
    element: element("label", { class: "control" }, element("span", {}, name), select),
    value: () => Number(select.value),
    set: (value) => {
      select.value = String(value);
    },
  };
}

/** Makes a button. */
export function button(name: string, onClick: () => void): HTMLElement {
  return element("button", { type: "button", click: onClick }, name);
}
