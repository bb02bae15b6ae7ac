/**
 * The sea: what attention answers everywhere, the buoys, the standing queries, and what the query that is looked at
 * attends to. Everything drawn can be dragged; the first buoys and the queries are buttons too, which keys move.
 *
 * Invariant: buttons stand exactly where what they move is drawn.
 */

import { colorAt, SEQUENTIAL } from "../src/display/color_scales.ts";
import { circle, line, prepareCanvas } from "../src/jupyter/live/page/canvas.ts";
import { element } from "../src/jupyter/live/page/dom.ts";
import { Handles, isHandle, type PlaneEvents } from "./handles.ts";
import { type Scene, type ShownBuoy, warmth, waterStyle } from "./scene.ts";
import { ASKER_NAMES, HALF_HEIGHT, HALF_WIDTH, type Place } from "./sea.ts";

/** The thing that is dragged. */
type Grip = { readonly kind: "buoy"; readonly slot: number } | {
  readonly kind: "query";
  readonly query: number;
};

const QUERY_RADIUS = 13, LEAST_RADIUS = 3.5, MOST_RADIUS = 15, REACH = 22;
/** The heaviest is so much of the width at most, and less where there are this many. */
const WIDEST_SHARE = 1 / 45, CROWD = 100;
/** Keys with less of the heaviest weight get no line. */
const LEAST_LINE = 0.04;
const FONT = '600 13px system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';

/** The sea of a page. */
export class Plane {
  readonly element: HTMLElement;
  readonly #canvas = element("canvas", { "aria-hidden": "true" });
  readonly #handles: Handles;
  readonly #events: PlaneEvents;
  readonly #field = document.createElement("canvas");
  #hasField = false;
  #scene: Scene | null = null;
  #width = 1;
  #height = 1;
  #grip: Grip | null = null;

  constructor(events: PlaneEvents) {
    this.#events = events;
    this.#handles = new Handles(events);
    this.element = element(
      "div",
      {
        class: "plane",
        role: "group",
        "aria-label": "The sea: buoys and queries, each a button that arrow keys move",
        pointerdown: (event) => this.#down(event as PointerEvent),
        pointermove: (event) => this.#drag(event as PointerEvent),
        pointerup: () => this.#release(),
        pointercancel: () => this.#release(),
        dblclick: (event) => this.#put(event as MouseEvent),
      },
      this.#canvas,
      this.#handles.element,
    );
  }

  /** Takes over the answers everywhere: `columns` × `rows` temperatures, from the left upper corner. */
  setField(temperatures: Float32Array, columns: number, rows: number): void {
    const picture = new ImageData(columns, rows);
    for (const [at, temperature] of temperatures.entries()) {
      picture.data.set([...colorAt(SEQUENTIAL, warmth(temperature)), 255], 4 * at);
    }
    this.#field.width = columns;
    this.#field.height = rows;
    this.#field.getContext("2d")!.putImageData(picture, 0, 0);
    this.#hasField = true;
    this.#paint();
  }

  /** Draws, as wide as there is room. */
  draw(scene: Scene): void {
    this.#scene = scene;
    this.#paint();
    this.#handles.update(scene, (place) => this.#pointOf(place));
  }

  #paint(): void {
    const room = this.element.clientWidth;
    if (!this.#scene || room === 0) return;
    this.#width = room;
    this.#height = Math.round(room * HALF_HEIGHT / HALF_WIDTH);
    const context = prepareCanvas(this.#canvas, this.#width, this.#height);
    const { buoys, theme, slot } = this.#scene;
    if (this.#hasField) {
      context.globalAlpha = 0.42;
      context.imageSmoothingQuality = "high";
      context.drawImage(this.#field, 0, 0, this.#width, this.#height);
      context.globalAlpha = 1;
    }
    this.#drawLines(context);
    // Heavy keys are drawn last, so that they are on top; then the one that is looked at.
    const inOrder = buoys.toSorted((a, b) =>
      Number(a.slot === slot) - Number(b.slot === slot) || a.share - b.share
    );
    for (const buoy of inOrder) {
      const [x, y] = this.#pointOf(buoy);
      const radius = this.#radiusOf(buoy);
      const look = {
        fill: waterStyle(buoy.temperature),
        stroke: theme.ink,
        lineWidth: radius > 5 ? 1.5 : 0.75,
      };
      disc(context, [x, y], radius, look);
      if (buoy.slot !== slot) continue;
      context.strokeStyle = theme.edited;
      context.lineWidth = 2.5;
      circle(context, [x, y], radius + 4);
      context.stroke();
    }
    this.#drawQueries(context);
  }

  #drawLines(context: CanvasRenderingContext2D): void {
    const { buoys, queries, query, theme } = this.#scene!;
    const [x, y] = this.#pointOf(queries[query]);
    context.strokeStyle = theme.ink;
    context.lineCap = "round";
    for (const buoy of buoys) {
      if (buoy.share < LEAST_LINE) continue;
      context.globalAlpha = 0.15 + 0.55 * buoy.share;
      context.lineWidth = 1 + 5 * buoy.share;
      line(context, [x, y], this.#pointOf(buoy));
    }
    context.globalAlpha = 1;
  }

  #drawQueries(context: CanvasRenderingContext2D): void {
    const { queries, query, look, theme, background } = { ...this.#scene!, background: this.#background() };
    for (const [at, place] of queries.entries()) {
      const [x, y] = this.#pointOf(place);
      const isChosen = at === query;
      disc(context, [x, y], QUERY_RADIUS + 4, {
        fill: background,
        stroke: isChosen ? theme.exact : theme.ink,
        lineWidth: isChosen ? 3.5 : 1.5,
      });
      disc(context, [x, y], QUERY_RADIUS - 1, { fill: waterStyle(look.exact[at]) });
      context.font = FONT;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineWidth = 3;
      context.strokeStyle = "rgb(0 0 0 / 0.65)";
      context.strokeText(ASKER_NAMES[at], x, y + 0.5);
      context.fillStyle = "#fff";
      context.fillText(ASKER_NAMES[at], x, y + 0.5);
    }
  }

  #radiusOf({ share }: ShownBuoy): number {
    const crowded = this.#scene!.buoys.length > CROWD ? 0.6 : 1;
    const most = Math.max(2 * LEAST_RADIUS, Math.min(MOST_RADIUS, this.#width * WIDEST_SHARE) * crowded);
    return LEAST_RADIUS * Math.sqrt(crowded) + (most - LEAST_RADIUS) * Math.sqrt(share);
  }

  #background(): string {
    return getComputedStyle(this.element).getPropertyValue("--page").trim() || "#fff";
  }

  #pointOf({ x, y }: Place): [x: number, y: number] {
    return [this.#width * (x / HALF_WIDTH + 1) / 2, this.#height * (1 - y / HALF_HEIGHT) / 2];
  }

  #placeOf(event: MouseEvent): Place {
    const box = this.element.getBoundingClientRect();
    return {
      x: HALF_WIDTH * (2 * (event.clientX - box.left) / box.width - 1),
      y: HALF_HEIGHT * (1 - 2 * (event.clientY - box.top) / box.height),
    };
  }

  /** Finds the thing drawn nearest to the pointer, within reach; queries are above buoys. */
  #gripAt(event: MouseEvent): Grip | null {
    if (!this.#scene) return null;
    const box = this.element.getBoundingClientRect();
    const distance = (place: Place) => {
      const [x, y] = this.#pointOf(place);
      return Math.hypot(event.clientX - box.left - x, event.clientY - box.top - y);
    };
    const { queries, buoys } = this.#scene;
    const query = nearest(queries, distance);
    if (query !== -1 && distance(queries[query]) <= QUERY_RADIUS + 4) return { kind: "query", query };
    const at = nearest(buoys, (buoy) => Math.max(0, distance(buoy) - this.#radiusOf(buoy)));
    return at !== -1 && distance(buoys[at]) <= REACH ? { kind: "buoy", slot: buoys[at].slot } : null;
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    const grip = this.#gripAt(event);
    if (!grip) return;
    if (grip.kind === "query") this.#events.chooseQuery(grip.query);
    else this.#events.chooseBuoy(grip.slot);
    // A finger that is put beside all buttons scrolls the page.
    if (event.pointerType !== "mouse" && !isHandle(event.target)) return;
    event.preventDefault();
    this.#grip = grip;
    this.element.setPointerCapture(event.pointerId);
    this.element.classList.add("dragging");
    this.#handles.focus(grip.kind === "query" ? `q${grip.query}` : `k${grip.slot}`);
  }

  #drag(event: PointerEvent): void {
    if (!this.#grip) {
      this.element.classList.toggle("near", this.#gripAt(event) !== null);
      return;
    }
    const place = this.#placeOf(event);
    if (this.#grip.kind === "query") this.#events.moveQuery(this.#grip.query, place);
    else this.#events.moveBuoy(this.#grip.slot, place);
  }

  #release(): void {
    this.#grip = null;
    this.element.classList.remove("dragging");
  }

  #put(event: MouseEvent): void {
    if (!this.#gripAt(event)) this.#events.insertBuoy(this.#placeOf(event));
  }
}

/** A filled circle, with an edge where one is asked for. */
function disc(
  context: CanvasRenderingContext2D,
  place: readonly [x: number, y: number],
  radius: number,
  { fill, stroke, lineWidth = 1 }: {
    readonly fill: string;
    readonly stroke?: string;
    readonly lineWidth?: number;
  },
): void {
  circle(context, place, radius);
  context.fillStyle = fill;
  context.fill();
  if (stroke === undefined) return;
  context.strokeStyle = stroke;
  context.lineWidth = lineWidth;
  context.stroke();
}

function nearest<Item>(items: readonly Item[], distance: (item: Item) => number): number {
  let at = -1, least = Infinity;
  for (const [each, item] of items.entries()) {
    const far = distance(item);
    if (far < least) [at, least] = [each, far];
  }
  return at;
}
