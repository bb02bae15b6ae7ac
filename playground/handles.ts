/**
 * Buttons over what is drawn: for keys, and for those who do not see it. Arrow keys move what a button stands for, plus and
 * minus warm a buoy, Delete takes it away; a button with the focus is looked at.
 *
 * Invariant: a button that stays keeps its element, and so the focus, however often the sea is drawn.
 */

import { element } from "../src/jupyter/live/page/dom.ts";
import { degrees, type Scene } from "./scene.ts";
import { ASKER_NAMES, type Place } from "./sea.ts";

/** This many buoys have buttons, besides the one that is looked at. */
export const MOST_BUTTONS = 24;
/** How far an arrow key moves, in miles; with shift so many times as far. */
const STEP = 0.1, LONG_STEP = 5;
const WARMER = 0.5;

const DIRECTIONS: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

/** The actions of a visitor in the sea, with pointer, finger or keys. */
export interface PlaneEvents {
  chooseBuoy(slot: number): void;
  chooseQuery(query: number): void;
  moveBuoy(slot: number, place: Place): void;
  moveQuery(query: number, place: Place): void;
  /** By so many degrees. */
  warmBuoy(slot: number, by: number): void;
  deleteBuoy(slot: number): void;
  insertBuoy(place: Place): void;
}

/** The buttons of a sea. */
export class Handles {
  readonly element: HTMLElement = element("div", { class: "handles" });
  readonly #events: PlaneEvents;
  readonly #buttons = new Map<string, HTMLButtonElement>();
  readonly #places = new Map<string, Place>();

  constructor(events: PlaneEvents) {
    this.#events = events;
  }

  /** Puts the buttons where things are. */
  update({ buoys, queries, look, query, slot }: Scene, pointOf: (place: Place) => [number, number]): void {
    const kept = new Set<string>();
    const put = (id: string, place: Place, label: string, isChosen: boolean) => {
      kept.add(id);
      this.#places.set(id, place);
      const button = this.#buttons.get(id) ?? this.#create(id);
      const [x, y] = pointOf(place);
      button.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
      button.setAttribute("aria-label", label);
      button.setAttribute("aria-pressed", String(isChosen));
    };
    for (const [at, place] of queries.entries()) {
      put(
        `q${at}`,
        place,
        `Query ${ASKER_NAMES[at]} at ${placeText(place)}, answer ${degrees(look.exact[at], 2)}`,
        at === query,
      );
    }
    const shown = buoys.filter((buoy, at) => at < MOST_BUTTONS || buoy.slot === slot);
    for (const buoy of shown) {
      const attention = `attention of ${ASKER_NAMES[query]} ${buoy.weight.toPrecision(3)}`;
      put(
        `k${buoy.slot}`,
        buoy,
        `Key ${buoy.slot} at ${placeText(buoy)}, ${degrees(buoy.temperature)}, ${attention}`,
        buoy.slot === slot,
      );
    }
    for (const [id, button] of this.#buttons) {
      if (kept.has(id)) continue;
      // The focus moves on to the next button.
      const isFocused = document.activeElement === button;
      const next = button.nextElementSibling ?? button.previousElementSibling;
      button.remove();
      this.#buttons.delete(id);
      this.#places.delete(id);
      if (isFocused && next instanceof HTMLElement) next.focus();
    }
  }

  /** Gives a button the focus, if it is there. */
  focus(id: string): void {
    this.#buttons.get(id)?.focus({ preventScroll: true });
  }

  #create(id: string): HTMLButtonElement {
    const isQuery = id.startsWith("q");
    const button = element("button", {
      type: "button",
      class: isQuery ? "handle query" : "handle",
      "data-handle": id,
      "aria-roledescription": isQuery ? "movable query" : "movable key",
      "aria-describedby": "plane-help",
      focus: () => this.#choose(id),
      click: () => this.#choose(id),
      keydown: (event) => this.#press(id, event as KeyboardEvent),
    });
    this.#buttons.set(id, button);
    this.element.append(button);
    return button;
  }

  #choose(id: string): void {
    const number = Number(id.slice(1));
    if (id.startsWith("q")) this.#events.chooseQuery(number);
    else this.#events.chooseBuoy(number);
  }

  #press(id: string, event: KeyboardEvent): void {
    const isQuery = id.startsWith("q"), number = Number(id.slice(1));
    const direction = DIRECTIONS[event.key];
    const place = this.#places.get(id);
    if (event.ctrlKey || event.altKey || event.metaKey || !place) return;
    if (direction) {
      const far = STEP * (event.shiftKey ? LONG_STEP : 1);
      const moved = { x: place.x + far * direction[0], y: place.y + far * direction[1] };
      // Presses that come before the next drawing add up.
      this.#places.set(id, moved);
      if (isQuery) this.#events.moveQuery(number, moved);
      else this.#events.moveBuoy(number, moved);
    } else if (!isQuery && (event.key === "+" || event.key === "=")) this.#events.warmBuoy(number, WARMER);
    else if (!isQuery && (event.key === "-" || event.key === "_")) this.#events.warmBuoy(number, -WARMER);
    else if (!isQuery && (event.key === "Delete" || event.key === "Backspace")) {
      this.#events.deleteBuoy(number);
    } else return;
    event.preventDefault();
  }
}

/** Whether it is one of the buttons. */
export function isHandle(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.dataset.handle !== undefined;
}

function placeText({ x, y }: Place): string {
  return `${x.toFixed(1)}, ${y.toFixed(1)}`.replaceAll("-", "−");
}
