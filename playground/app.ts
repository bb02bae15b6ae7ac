/**
 * The playground: the sea, the pictures and numbers beside it, and the controls.
 *
 * Invariant: there is at most one look a frame; what the visitor does waits in the lab until the next look, so that stale and
 * exact answers are always of the same edits.
 */

import { type Change, ChangeLoop } from "../src/jupyter/live/page/change_loop.ts";
import { readable } from "../src/jupyter/live/page/dom.ts";
import { Heatmap } from "../src/jupyter/live/page/heatmap.ts";
import { DARK, isDark, LIGHT, onThemeChange } from "../src/jupyter/live/page/theme.ts";
import { AddressBar } from "./address_bar.ts";
import { AnswerChart } from "./answer_chart.ts";
import { codeOf } from "./code.ts";
import { ControlPanel, type ControlState } from "./control_panel.ts";
import { FieldClock, fieldGrid } from "./field.ts";
import { MOST_BUTTONS } from "./handles.ts";
import { HistoryChart } from "./history_chart.ts";
import { Lab, type LabOptions, type Look } from "./lab.ts";
import { numbersTable } from "./numbers_table.ts";
import { complain, dataOf, placeOf } from "./page.ts";
import { Plane } from "./plane.ts";
import { drawRace } from "./race.ts";
import { MOST_DRAWN, type Scene, type ShownBuoy } from "./scene.ts";
import { ASKER_NAMES, insideSea, type Place, possibleTemperature } from "./sea.ts";
import { Stream } from "./stream.ts";
import { drawTiles, sentenceOf } from "./summary.ts";
import { FIRST_VIEW, fromHash, MOST_POWER, type ViewState } from "./view_state.ts";

/** On a phone fewer are drawn: a finger is to find one. */
const NARROW = 500, MOST_DRAWN_NARROW = 120;
const SAY_MS = 600, CALM_STEP_MS = 500;
/** Frames a second are counted over so long. */
const FRAMES_MS = 1000;

/** The page's one playground. */
export class App {
  #lab: Lab;
  #look: Look | null = null;
  #query: number;
  #slot: number;
  /** The values of the controls when a lab was last made, for when one cannot be. */
  #made: ControlState;
  readonly #controls: ControlPanel;
  readonly #plane: Plane;
  readonly #map: Heatmap;
  readonly #answers = new AnswerChart();
  readonly #history = new HistoryChart();
  readonly #stream = new Stream();
  readonly #field = new FieldClock();
  readonly #address = new AddressBar();
  readonly #loop = new ChangeLoop({
    look: () => this.#lookOnce(),
    fail: (error) => complain([error]),
    pause: () => nextStep(this.#stream.isRunning),
  });
  #mapSlots: readonly number[] = [];
  #seenEdits = 0;
  #saying = 0;
  /** When the last looks were, and what came of them. */
  #frames: number[] = [];
  /** Held here, since `onThemeChange` holds it not. */
  readonly #redraw = () => this.#draw();

  private constructor(lab: Lab, state: ViewState) {
    this.#lab = lab;
    this.#query = state.query;
    this.#slot = state.slot;
    this.#made = state;
    this.#plane = new Plane({
      chooseBuoy: (slot) => this.#choose(this.#query, slot),
      chooseQuery: (query) => this.#choose(query, this.#slot),
      moveBuoy: (slot, place) => this.#editBuoy(slot, (buoy) => ({ ...buoy, ...insideSea(place) })),
      moveQuery: (query, place) => {
        this.#lab.setQuery(query, insideSea(place));
        this.#act();
      },
      warmBuoy: (slot, by) => this.#warm(slot, (temperature) => temperature + by),
      deleteBuoy: (slot) => this.#delete(slot),
      insertBuoy: (place) => this.#insert(place),
    });
    this.#map = new Heatmap((row, at) => this.#choose(row, this.#mapSlots[at]), (pair) => this.#point(pair));
    this.#controls = new ControlPanel(
      {
        changeSize: () => this.#restart(new Map()),
        changeRule: () => this.#restart(),
        changeHead: () => {
          this.#history.clear();
          this.#field.isOld = true;
          this.#act();
        },
        changeThreshold: () => {
          this.#lab.threshold = this.#controls.state().threshold;
          this.#made = this.#controls.state();
          this.#act();
        },
        changeBackend: () => this.#act("backend", () => this.#move()),
        changeTemperature: (temperature) => this.#warm(this.#slot, () => temperature),
        changeRate: (rate) => this.#stream.rate = rate,
        toggleStream: () => this.#toggleStream(),
        insertBuoy: () => this.#insert({ x: 0, y: 0 }),
        deleteBuoy: () => this.#delete(this.#slot),
        catchUp: () => this.#act("catch up", () => this.#lab.catchUp()),
        startAnew: () => this.#show(FIRST_VIEW),
        copyLink: () => void this.#copyLink(),
        showMany: () => this.#showMany(),
      },
      state,
      this.#stream.rate,
    );
    placeOf("plane").append(this.#plane.element);
    placeOf("answers").append(this.#answers.canvas);
    placeOf("history").append(this.#history.canvas);
    placeOf("map").append(this.#map.canvas);
    placeOf("code").addEventListener("toggle", () => this.#drawCode());
    onThemeChange(this.#redraw);
    new ResizeObserver(this.#redraw).observe(placeOf("plane"));
    globalThis.addEventListener("hashchange", () => {
      const { state, complaints } = fromHash(location.hash);
      this.#show(state);
      complain(complaints);
    });
  }

  /** Starts it with what the address says. Resolves when it is drawn. */
  static async start(): Promise<App> {
    const { state, complaints } = fromHash(location.hash);
    complain(complaints);
    let lab: Lab, made = state;
    try {
      lab = await Lab.create(labOptions(state, state.changes, state.queries));
    } catch (error) {
      // The array backend runs everywhere.
      complain([error]);
      made = { ...state, backend: "array" };
      lab = await Lab.create(labOptions(made, state.changes, state.queries));
    }
    const app = new App(lab, made);
    await app.#loop.ask();
    if (location.hash === "" && !wantsCalm()) app.#play();
    return app;
  }

  /** Lets the current run until the visitor does something: a page that stands still says nothing of what it can do. */
  #play(): void {
    this.#stream.isShow = true;
    this.#toggleStream();
    const stop = (event: Event) => {
      const isSwitch = event.target instanceof Element && event.target.closest("#stream") !== null;
      for (const kind of TOUCHES) document.removeEventListener(kind, stop, true);
      // Using the switch itself already stops the motion.
      if (!isSwitch && this.#stream.isShow && this.#stream.isRunning) this.#toggleStream();
      this.#stream.isShow = false;
    };
    for (const kind of TOUCHES) document.addEventListener(kind, stop, true);
  }

  /** The largest sea, which drifts. */
  #showMany(): void {
    this.#show({ ...FIRST_VIEW, power: MOST_POWER, threshold: 4096 });
    this.#stream.rate = MANY_RATE;
    this.#controls.setRate(MANY_RATE);
    this.#toggleStream();
  }

  #choose(query: number, slot: number): void {
    if (query === this.#query && slot === this.#slot) return;
    if (query !== this.#query) this.#history.clear();
    this.#query = query;
    this.#slot = slot;
    this.#draw();
    this.#writeAddress();
  }

  #editBuoy(
    slot: number,
    change: (buoy: Place & { temperature: number }) => Place & { temperature: number },
  ): void {
    const buoy = this.#lab.buoyOf(slot);
    if (!buoy) return;
    this.#lab.set(slot, change(buoy));
    this.#act();
  }

  #warm(slot: number, change: (temperature: number) => number): void {
    this.#editBuoy(slot, (buoy) => ({ ...buoy, temperature: possibleTemperature(change(buoy.temperature)) }));
  }

  #insert(place: Place): void {
    this.#act(`insert ${performance.now()}`, () => {
      const temperature = possibleTemperature(this.#look?.exact[this.#query] ?? FIRST_TEMPERATURE);
      this.#slot = this.#lab.insert({ ...insideSea(place), temperature });
    });
  }

  #delete(slot: number): void {
    this.#lab.delete(slot);
    this.#act();
  }

  #toggleStream(): void {
    this.#stream.isRunning = !this.#stream.isRunning;
    this.#controls.setStream(this.#stream.isRunning);
    this.#act();
  }

  /** Makes both engines anew: of another sea where `changes` are given, else of the sea as it is. */
  #restart(changes?: LabOptions["changes"], queries?: readonly Place[]): void {
    this.#act("restart", async () => {
      const state = this.#controls.state();
      const before = this.#lab;
      try {
        this.#lab = changes
          ? await Lab.create(labOptions(state, changes, queries ?? before.queries))
          : await Lab.create({ ...labOptions(state, new Map(), before.queries), same: before });
      } catch (error) {
        this.#controls.set(this.#made);
        throw error;
      }
      this.#made = state;
      this.#history.clear();
      this.#seenEdits = 0;
      this.#field.isOld = true;
      await before.dispose();
    });
  }

  /** Shows another view, as an address says it. */
  #show(state: ViewState): void {
    if (this.#stream.isRunning) this.#toggleStream();
    this.#controls.set(state);
    this.#query = state.query;
    this.#slot = state.slot;
    this.#restart(state.changes, state.queries);
  }

  async #move(): Promise<void> {
    const state = this.#controls.state();
    placeOf("where").textContent =
      `${state.backend} is made ready; a graphics device compiles its programs first.`;
    try {
      await this.#lab.moveTo(state.backend);
      this.#made = state;
      this.#field.isOld = true;
    } catch (error) {
      this.#controls.set({ ...state, backend: this.#made.backend });
      throw error;
    }
  }

  async #copyLink(): Promise<void> {
    this.#address.writeNow();
    try {
      await navigator.clipboard.writeText(location.href);
      this.#announce("The link is on the clipboard.");
    } catch {
      this.#announce("The link is in the address bar; this page may not put it on the clipboard.");
    }
  }

  /** Does a change, and looks; what fails is shown. */
  #act(what?: string, change?: Change): void {
    complain([]);
    this.#ask(what, change);
  }

  #ask(what?: string, change?: Change): void {
    this.#loop.ask(what, change).catch((error) => {
      if (this.#stream.isRunning) this.#toggleStream();
      complain([error]);
    });
  }

  async #lookOnce(): Promise<void> {
    if (this.#stream.isRunning) {
      this.#stream.step(this.#lab);
      void this.#loop.ask();
    }
    this.#look = await this.#lab.look(this.#controls.state().head);
    this.#countFrame();
    const { bounds, distances, costs } = this.#look;
    if (costs.edits !== this.#seenEdits) this.#field.isOld = true;
    if (costs.edits !== this.#seenEdits || costs.edits === 0) {
      this.#history.add({ bound: bounds[this.#query], distance: distances[this.#query] });
    }
    this.#seenEdits = costs.edits;
    this.#draw();
    this.#writeAddress();
    await this.#drawField();
  }

  #countFrame(): void {
    const now = performance.now();
    this.#frames = [...this.#frames.filter((then) => now - then < FRAMES_MS), now];
  }

  /** The program of this view, where it is asked for. */
  #drawCode(): void {
    const place = placeOf("code") as HTMLDetailsElement;
    if (place.open) placeOf("code-text").textContent = codeOf(this.#view(), this.#lab);
  }

  /** Draws the answers of attention everywhere, as often as that leaves time for the rest. */
  async #drawField(): Promise<void> {
    if (!this.#field.isOld) return;
    const wait = this.#field.wait();
    if (wait > 0) {
      if (!this.#loop.wantsLook) setTimeout(() => this.#ask(), wait);
      return;
    }
    const { places, columns, rows } = fieldGrid(this.#lab.keyCount);
    const { head } = this.#controls.state();
    await this.#field.timed(async () => {
      this.#plane.setField(await this.#lab.temperaturesAt(places, head), columns, rows);
    });
  }

  #draw(): void {
    if (!this.#look) return;
    const scene = this.#scene(this.#look);
    const { look, query, theme } = scene;
    this.#plane.draw(scene);
    this.#answers.draw(scene, placeOf("answers").clientWidth);
    this.#history.draw(theme, placeOf("history").clientWidth);
    placeOf("numbers").replaceChildren(numbersTable(scene));
    drawRace(placeOf("race"), look.costs);
    this.#drawMap(scene);
    drawTiles(scene);
    const buoy = this.#lab.buoyOf(this.#slot);
    this.#controls.setTemperature(buoy?.temperature ?? null);
    const weight = look.weights[query][this.#slot] ?? 0;
    placeOf("key-title").textContent = buoy ? `Key ${this.#slot}` : "No key is chosen";
    placeOf("key-weight").replaceChildren(
      ...buoy ? [`${ASKER_NAMES[query]} pays it `, dataOf("weight", weight), " of its attention."] : [],
    );
    const { backend, reason, bytes } = this.#lab.where();
    placeOf("where").textContent = `${backend}: ${reason}; it holds ${
      readable(Math.round(bytes / 1000))
    } kB.`;
    const drawn = scene.buoys.length, { keyCount } = this.#lab;
    placeOf("drawn").textContent = drawn < keyCount
      ? `${readable(drawn)} of ${readable(keyCount)} keys are drawn; all of them are attended to.`
      : "";
    placeOf("frames").textContent = this.#stream.isRunning
      ? `${readable(keyCount)} keys, ${readable(this.#frames.length)} frames a second`
      : "";
    clearTimeout(this.#saying);
    this.#saying = setTimeout(() => this.#announce(sentenceOf(scene)), SAY_MS);
  }

  #scene(look: Look): Scene {
    const lab = this.#lab, weights = look.weights[this.#query];
    const slots = new Set<number>();
    const most = this.#plane.element.clientWidth < NARROW ? MOST_DRAWN_NARROW : MOST_DRAWN;
    for (let slot = 0; slot < lab.slotCount && slots.size < most; slot++) {
      if (lab.buoyOf(slot)) slots.add(slot);
    }
    if (lab.buoyOf(this.#slot)) slots.add(this.#slot);
    const heaviest = Math.max(Number.MIN_VALUE, ...Array.from(slots, (slot) => weights[slot] ?? 0));
    const buoys = Array.from(slots, (slot): ShownBuoy => {
      const weight = weights[slot] ?? 0;
      return { ...lab.buoyOf(slot)!, slot, weight, share: weight / heaviest };
    });
    return {
      look,
      buoys,
      queries: lab.queries,
      query: this.#query,
      slot: this.#slot,
      theme: isDark(document.body) ? DARK : LIGHT,
    };
  }

  #drawMap({ buoys, look, query, slot, theme }: Scene): void {
    this.#mapSlots = buoys.filter((buoy, at) => at < MOST_BUTTONS || buoy.slot === slot).map((buoy) =>
      buoy.slot
    );
    if (this.#mapSlots.length === 0) return;
    this.#map.draw(
      {
        weights: look.weights.map((row) => Float32Array.from(this.#mapSlots, (each) => row[each] ?? 0)),
        queryLabels: ASKER_NAMES,
        keyLabels: this.#mapSlots.map(String),
        row: query,
        key: this.#mapSlots.indexOf(slot),
      },
      theme,
      placeOf("map").clientWidth,
    );
    this.#point(null);
  }

  /** Says what is under the pointer of the map, or of the pair that is looked at. */
  #point(pair: readonly [row: number, at: number] | null): void {
    if (!this.#look) return;
    const [row, slot] = pair ? [pair[0], this.#mapSlots[pair[1]]] : [this.#query, this.#slot];
    const weight = this.#look.weights[row][slot];
    // A key that was deleted stays chosen, and is on no map.
    placeOf("readout").textContent = weight === undefined || !this.#mapSlots.includes(slot)
      ? ""
      : `${ASKER_NAMES[row]} → key ${slot}: ${weight.toPrecision(4)}`;
  }

  #announce(sentence: string): void {
    placeOf("status").textContent = sentence;
  }

  #writeAddress(): void {
    this.#address.write(() => this.#view());
    this.#drawCode();
  }

  #view(): ViewState {
    return {
      ...this.#controls.state(),
      query: this.#query,
      slot: this.#slot,
      queries: this.#lab.queries,
      changes: this.#lab.changes(),
    };
  }
}

const FIRST_TEMPERATURE = 16;
/** Edits of a step in the largest sea: with some hundreds computing again would be faster. */
const MANY_RATE = 64;
/** The actions of a visitor. */
const TOUCHES = ["pointerdown", "keydown"] as const;

function wantsCalm(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function labOptions(
  { power, scalePower, softcap, threshold, budget, backend }: ControlState,
  changes: LabOptions["changes"],
  queries: readonly Place[],
): LabOptions {
  return { count: 2 ** power, changes, queries, scale: 2 ** scalePower, softcap, threshold, budget, backend };
}

/** The next frame, or later where a stream runs before somebody who wants little motion. */
function nextStep(isStream: boolean): Promise<void> {
  const isCalm = isStream && wantsCalm();
  return new Promise((resolve) => {
    if (isCalm) setTimeout(resolve, CALM_STEP_MS);
    else requestAnimationFrame(() => resolve());
  });
}
