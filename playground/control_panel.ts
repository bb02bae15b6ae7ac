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

/** The values of the controls. */
export type ControlState = Pick<
  ViewState,
  "power" | "head" | "scalePower" | "softcap" | "threshold" | "budget" | "backend"
>;

/** The calls that controls make. */
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
  /** The largest sea, which drifts. */
  showMany(): void;
}

const MOST_RATE_POWER = 10;
/** Edits of a step at most. */
const MOST_RATE = 1000;

/** All controls of the page, put into their places in it. */
export class ControlPanel {
  readonly #sea: ReturnType<typeof seaControls>;
  readonly #rule: ReturnType<typeof ruleControls>;
  readonly #threshold: Slider;
  readonly #budget: Slider;
  readonly #backend: Picker;
  readonly #temperature: Slider;

  constructor(events: ControlEvents, start: ControlState, rate: number) {
    this.#sea = seaControls(events, start, rate);
    this.#rule = ruleControls(events, start);
    // With a budget the threshold is a limit beside it, which an engine is made with.
    const changeThreshold = () =>
      this.state().budget === Infinity ? events.changeThreshold() : events.changeRule();
    this.#threshold = slider(
      "edits that may wait",
      [0, THRESHOLDS.length - 1, 1],
      THRESHOLDS.indexOf(start.threshold),
      (at) => sayThreshold(THRESHOLDS[at]),
      changeThreshold,
    );
    this.#budget = slider(
      "error budget",
      [0, BUDGETS.length - 1, 1],
      BUDGETS.indexOf(start.budget),
      (at) => BUDGETS[at] === Infinity ? "none" : `${BUDGETS[at]} °C`,
      () => events.changeRule(),
    );
    const backend = BACKENDS.indexOf(start.backend);
    this.#backend = picker("computes on", BACKENDS, backend, () => events.changeBackend());
    this.#temperature = slider(
      "its temperature",
      [COLDEST, WARMEST, 0.1],
      COLDEST,
      (temperature) => degrees(temperature),
      () => events.changeTemperature(this.#temperature.value()),
    );
    const catchUp = button("Catch up now", () => events.catchUp());
    fill("controls-key", this.#temperature.element, button("Delete it", () => events.deleteBuoy()));
    fill("controls-lazy", this.#threshold.element, this.#budget.element, catchUp);
    fill("controls-engine", this.#backend.element);
    fill(
      "controls-view",
      button("65,536 keys, 64 edits per step", () => events.showMany()),
      button("Copy a link to this view", () => events.copyLink()),
      button("Start anew", () => events.startAnew()),
    );
  }

  /** The values of the controls. */
  state(): ControlState {
    return {
      power: this.#sea.size.value(),
      head: this.#rule.head.value(),
      scalePower: this.#rule.scale.value(),
      softcap: this.#rule.softcap.value(),
      threshold: THRESHOLDS[this.#threshold.value()],
      budget: BUDGETS[this.#budget.value()],
      backend: BACKENDS[this.#backend.value()],
    };
  }

  /** Sets them; nobody is told. */
  set(state: ControlState): void {
    this.#sea.size.set(state.power);
    this.#rule.head.set(state.head);
    this.#rule.scale.set(state.scalePower);
    this.#rule.softcap.set(state.softcap);
    this.#threshold.set(THRESHOLDS.indexOf(state.threshold));
    this.#budget.set(BUDGETS.indexOf(state.budget));
    this.#backend.set(BACKENDS.indexOf(state.backend));
  }

  /** Sets the slider of the buoy that is looked at; null where there is none. */
  setTemperature(temperature: number | null): void {
    this.#temperature.enable(temperature !== null);
    if (temperature !== null) this.#temperature.set(temperature);
  }

  /** Sets the edits of a step; nobody is told. */
  setRate(rate: number): void {
    this.#sea.rate.set(rate === MOST_RATE ? MOST_RATE_POWER : Math.log2(rate));
  }

  /** Says whether the stream runs. */
  setStream(isRunning: boolean): void {
    this.#sea.stream.textContent = isRunning ? "Stop the current" : "Start the current";
    this.#sea.stream.setAttribute("aria-pressed", String(isRunning));
  }
}

/** The current, how many keys there are, and another one. */
function seaControls(events: ControlEvents, start: ControlState, startRate: number) {
  const stream = button("Start the current", () => events.toggleStream());
  stream.id = "stream";
  const rate = slider(
    "edits per step",
    [0, MOST_RATE_POWER, 1],
    Math.log2(startRate),
    (power) => readable(rateOf(power)),
    () => events.changeRate(rateOf(rate.value())),
  );
  const size = slider(
    "keys",
    [LEAST_POWER, MOST_POWER, 1],
    start.power,
    (power) => readable(2 ** power),
    () => events.changeSize(),
  );
  const insert = button("Add a key", () => events.insertBuoy());
  fill("controls-sea", stream, rate.element, size.element, insert);
  return { stream, size, rate };
}

/** The head that is looked at, and the rule of scores. */
function ruleControls(events: ControlEvents, start: ControlState) {
  const head = picker("head", HEAD_NAMES, start.head, () => events.changeHead());
  const scale = slider(
    "scale",
    [-MOST_SCALE_POWER, MOST_SCALE_POWER, 0.25],
    start.scalePower,
    (power) => readable(Number((2 ** power).toPrecision(3))),
    () => events.changeRule(),
  );
  const softcap = slider(
    "softcap",
    [0, MOST_SOFTCAP, 0.5],
    start.softcap,
    (cap) => cap === 0 ? "none" : readable(cap),
    () => events.changeRule(),
  );
  fill("controls-rule", head.element, scale.element, softcap.element);
  return { head, scale, softcap };
}

function sayThreshold(threshold: number): string {
  if (threshold === 1) return "none";
  return threshold === Infinity ? "any number" : `up to ${readable(threshold - 1)}`;
}

/** 1, 2, 4, …, and 1,000 in the end. */
function rateOf(power: number): number {
  return power === MOST_RATE_POWER ? MOST_RATE : 2 ** power;
}

function fill(id: string, ...children: readonly Node[]): void {
  placeOf(id).append(...children);
}
