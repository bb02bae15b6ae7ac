/**
 * The controls of the page: plain inputs with names, which say what they stand at.
 */

import { readable } from "../src/jupyter/live/page/dom.ts";
import { button, type Picker, picker, type Slider, slider } from "../src/jupyter/live/page/controls.ts";
import { placeOf } from "./page.ts";
import { HEAD_NAMES } from "./rows.ts";
import { degrees } from "./scene.ts";
import { COLDEST, WARMEST } from "./sea.ts";
import {
  BACKENDS,
  BUDGETS,
  LEAST_POWER,
  MOST_POWER,
  MOST_SCALE_POWER,
  MOST_SOFTCAP,
  THRESHOLDS,
  type ViewState,
} from "./view_state.ts";

/** What the controls say. */
export type ControlState = Pick<
  ViewState,
  "power" | "head" | "scalePower" | "softcap" | "threshold" | "budget" | "backend"
>;

/** What they tell whoever made them. */
export interface ControlEvents {
  /** Another sea: how many keys there are. */
  changeSize(): void;
  /** Another rule: both engines have to be made anew. */
  changeRule(): void;
  changeHead(): void;
  changeThreshold(): void;
  changeBackend(): void;
  changeTemperature(temperature: number): void;
  changeRate(rate: number): void;
  toggleStream(): void;
  insertBuoy(): void;
  deleteBuoy(): void;
  catchUp(): void;
  startAnew(): void;
  copyLink(): void;
}

const MOST_RATE_POWER = 10;

/** All controls of the page, put into their places in it. */
export class ControlPanel {
  readonly #size: Slider;
  readonly #head: Picker;
  readonly #scale: Slider;
  readonly #softcap: Slider;
  readonly #threshold: Slider;
  readonly #budget: Slider;
  readonly #backend: Picker;
  readonly #temperature: Slider;
  readonly #rate: Slider;
  readonly #stream: HTMLElement;

  constructor(events: ControlEvents, start: ControlState, rate: number) {
    const word = (count: number) => count === Infinity ? "any number" : readable(count);
    this.#size = slider(
      "keys",
      [LEAST_POWER, MOST_POWER, 1],
      start.power,
      (power) => readable(2 ** power),
      () => events.changeSize(),
    );
    this.#head = picker("head", HEAD_NAMES, start.head, () => events.changeHead());
    this.#scale = slider(
      "scale",
      [-MOST_SCALE_POWER, MOST_SCALE_POWER, 0.25],
      start.scalePower,
      (power) => readable(Number((2 ** power).toPrecision(3))),
      () => events.changeRule(),
    );
    this.#softcap = slider(
      "softcap",
      [0, MOST_SOFTCAP, 0.5],
      start.softcap,
      (cap) => cap === 0 ? "none" : readable(cap),
      () => events.changeRule(),
    );
    this.#threshold = slider(
      "edits that may wait",
      [0, THRESHOLDS.length - 1, 1],
      THRESHOLDS.indexOf(start.threshold),
      (at) =>
        THRESHOLDS[at] === 1
          ? "none"
          : THRESHOLDS[at] === Infinity
          ? "any number"
          : `up to ${word(THRESHOLDS[at] - 1)}`,
      // With a budget the threshold is a limit beside it, which an engine is made with.
      () => this.state().budget === Infinity ? events.changeThreshold() : events.changeRule(),
    );
    this.#budget = slider(
      "error budget",
      [0, BUDGETS.length - 1, 1],
      BUDGETS.indexOf(start.budget),
      (at) => BUDGETS[at] === Infinity ? "none" : `${BUDGETS[at]} °C`,
      () => events.changeRule(),
    );
    this.#backend = picker(
      "computes on",
      BACKENDS,
      BACKENDS.indexOf(start.backend),
      () => events.changeBackend(),
    );
    this.#temperature = slider(
      "what it says",
      [COLDEST, WARMEST, 0.1],
      COLDEST,
      (temperature) => degrees(temperature),
      () => events.changeTemperature(this.#temperature.value()),
    );
    this.#rate = slider(
      "edits a step",
      [0, MOST_RATE_POWER, 1],
      Math.log2(rate),
      (power) => readable(rateOf(power)),
      () => events.changeRate(rateOf(this.#rate.value())),
    );
    this.#stream = button("Start the current", () => events.toggleStream());
    this.#stream.id = "stream";
    const insert = button("Add a key", () => events.insertBuoy());
    const remove = button("Delete it", () => events.deleteBuoy());
    fill("controls-sea", this.#stream, this.#rate.element, this.#size.element, insert);
    fill("controls-key", this.#temperature.element, remove);
    fill("controls-rule", this.#head.element, this.#scale.element, this.#softcap.element);
    fill(
      "controls-lazy",
      this.#threshold.element,
      this.#budget.element,
      button("Catch up now", () => events.catchUp()),
    );
    fill("controls-engine", this.#backend.element);
    fill(
      "controls-view",
      button("Copy a link to this view", () => events.copyLink()),
      button("Start anew", () => events.startAnew()),
    );
  }

  /** What the controls say. */
  state(): ControlState {
    return {
      power: this.#size.value(),
      head: this.#head.value(),
      scalePower: this.#scale.value(),
      softcap: this.#softcap.value(),
      threshold: THRESHOLDS[this.#threshold.value()],
      budget: BUDGETS[this.#budget.value()],
      backend: BACKENDS[this.#backend.value()],
    };
  }

  /** Sets them; nobody is told. */
  set(state: ControlState): void {
    this.#size.set(state.power);
    this.#head.set(state.head);
    this.#scale.set(state.scalePower);
    this.#softcap.set(state.softcap);
    this.#threshold.set(THRESHOLDS.indexOf(state.threshold));
    this.#budget.set(BUDGETS.indexOf(state.budget));
    this.#backend.set(BACKENDS.indexOf(state.backend));
  }

  /** Sets the slider of the buoy that is looked at; null where there is none. */
  setTemperature(temperature: number | null): void {
    this.#temperature.enable(temperature !== null);
    if (temperature !== null) this.#temperature.set(temperature);
  }

  /** Says whether the stream runs. */
  setStream(isRunning: boolean): void {
    this.#stream.textContent = isRunning ? "Stop the current" : "Start the current";
    this.#stream.setAttribute("aria-pressed", String(isRunning));
  }
}

/** 1, 2, 4, …, and 1,000 in the end. */
function rateOf(power: number): number {
  return power === MOST_RATE_POWER ? 1000 : 2 ** power;
}

function fill(id: string, ...children: readonly Node[]): void {
  placeOf(id).append(...children);
}
