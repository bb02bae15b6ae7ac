/**
 * A figure that shows itself wherever a notebook is read.
 *
 * Invariant: a figure does not change, and what it shows is made when it is asked for.
 */

import { toBase64 } from "../display/base64.ts";
import { DISPLAY, INSPECT, type MimeBundle } from "../display/mime_bundle.ts";
import { describe, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";
import { takeOptions, takeWord } from "../base/names.ts";
import type { FigureData, PlainObject } from "./figures/figure_data.ts";
import { plotlyText } from "./figures/layout.ts";
import { paint } from "./figures/paint.ts";
import { PALETTES, type Theme } from "./figures/palette.ts";
import { notebookKernel } from "./kernel.ts";
import { checkTypes, embeddedLibrary, figureHtml, remoteLibrary } from "./plotly_page.ts";
import { currentRenderer, type Renderer, toRenderer } from "./renderer.ts";
import { show } from "./show.ts";
import { terminalText } from "./plain_text.ts";

/** What every figure may be told. */
export interface FigureOptions {
  /** Above the figure; none unless given. */
  readonly title?: string;
  /** In CSS pixels, 100 to 4,000; what the figure needs unless given. */
  readonly height?: number;
  /** How it is shown; what {@link setRenderer} chose unless given. */
  readonly renderer?: Renderer;
}

/** What a still picture may be told. */
export interface PictureOptions {
  /** In CSS pixels, 100 to 4,000; 860 unless given. */
  readonly width?: number;
  /** In CSS pixels, 100 to 4,000; the figure's unless given. */
  readonly height?: number;
  /** Pixels of the picture for one of CSS, 0.5 to 4; 1.5 unless given. */
  readonly zoom?: number;
  /** "light" unless given. */
  readonly theme?: Theme;
}

const FIGURE_OPTIONS: readonly (keyof FigureOptions)[] = ["title", "height", "renderer"];
const PICTURE_OPTIONS: readonly (keyof PictureOptions)[] = ["width", "height", "zoom", "theme"];

const WIDTH = 860, ZOOM = 1.5;
/** The height of a figure unless another one is given, in CSS pixels. */
export const HEIGHT = 420;
/** The height of a line of the title, in CSS pixels. */
const LINE = 20;
/** Whether a notebook has the library already, so that it need not be there twice. */
let hasLibrary = false;
let figures = 0;
/** Tells figures of this process from those of another whose outputs are in the same page. */
const PROCESS = crypto.randomUUID().slice(0, 8);

/**
 * A figure: plotly data and a sentence that says what is on it.
 *
 * As the last value of a cell it is interactive, in the colours of the page, and carries plotly JSON, a still picture
 * and text for front ends that do not run programs.
 */
export class Figure implements FigureData {
  /** The traces, as plotly.js takes them; `$blue` and other names of colours are painted when it is drawn. */
  readonly data: readonly PlainObject[];
  /** The layout, as plotly.js takes it. */
  readonly layout: PlainObject;
  /** What is on it, in words. */
  readonly description: string;
  /** In CSS pixels. */
  readonly height: number;
  readonly #operation: string;
  readonly #renderer: Renderer | null;
  readonly #id = `${PROCESS}-${++figures}`;

  /**
   * Functions of this module make figures; `figure` makes any other.
   *
   * @throws {InputError} When an option is out of range.
   */
  constructor(
    operation: string,
    { data, layout }: FigureData,
    description: string,
    options: FigureOptions = {},
  ) {
    this.#operation = operation;
    this.#renderer = options.renderer === undefined ? null : toRenderer(operation, options.renderer);
    this.data = data;
    this.layout = layout;
    this.description = terminalText(description);
    this.height = within(operation, "height", options.height ?? HEIGHT, 100, 4000);
  }

  /** What a notebook shows. */
  async [DISPLAY](): Promise<MimeBundle> {
    const renderer = this.#renderer ?? currentRenderer();
    if (renderer === "json") return { "text/plain": this.description, ...this.#json() };
    if (renderer === "png") {
      return { "text/plain": this.description, "image/png": toBase64(await this.png()) };
    }
    checkTypes(this.#operation, this.data);
    const { picture, lack } = await this.#picture();
    const library = renderer === "cdn" ? await remoteLibrary() : hasLibrary ? "" : await embeddedLibrary();
    if (renderer === "embed") hasLibrary = true;
    return {
      "text/plain": lack === "" ? this.description : `${this.description} (no still picture: ${lack})`,
      "text/html": library + this.#box(picture),
      ...this.#json(),
      ...(picture !== null && { "image/png": picture }),
    };
  }

  /** What a terminal shows: the description. */
  [INSPECT](): string {
    return `Figure: ${this.description}`;
  }

  /**
   * HTML with all that it needs, for a page of its own.
   *
   * @throws {InputError} When a trace is of a type that the page's plotly.js does not have.
   */
  async html(): Promise<string> {
    checkTypes(this.#operation, this.data);
    const { picture } = await this.#picture();
    return await embeddedLibrary() + this.#box(picture);
  }

  /**
   * A still picture, drawn without a browser. Loads resvg and a font when it is first asked for, which needs read
   * permission.
   *
   * @throws {InputError} When an option is out of range, or a trace is neither scatter nor bar nor heatmap, or has what the
   * picture would lack.
   */
  async png(options: PictureOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    const operation = `${this.#operation}.png`;
    const given = reading(operation, () => takeOptions(operation, options, PICTURE_OPTIONS));
    const width = within(operation, "width", given.width ?? WIDTH, 100, 4000);
    const height = within(operation, "height", given.height ?? this.height, 100, 4000);
    const zoom = within(operation, "zoom", given.zoom ?? ZOOM, 0.5, 4);
    const theme = takeWord(operation, "theme", given.theme ?? "light", ["light", "dark"]);
    const [{ drawPicture }, { Rasterizer }] = await Promise.all([
      import("./figures/picture/picture.ts"),
      import("./figures/picture/rasterizer.ts"),
    ]);
    const rasterizer = await Rasterizer.load();
    const svg = await drawPicture(operation, this.#painted(theme), { width, height }, rasterizer.metrics);
    return rasterizer.render(svg, zoom);
  }

  /** In colours, on paper of their own. */
  #painted(theme: Theme): FigureData {
    const palette = PALETTES[theme];
    return {
      data: this.data.map((trace) => paint(trace, palette)),
      layout: paint({ ...this.layout, paper_bgcolor: "$paper" }, palette),
    };
  }

  #json(): Record<string, object> {
    const { data, layout } = this.#painted("light");
    return { "application/vnd.plotly.v1+json": { data, layout: { ...layout, height: this.height } } };
  }

  #box(picture: string | null): string {
    return figureHtml({
      id: this.#id,
      figure: { data: this.data, layout: this.layout },
      height: this.height,
      description: this.description,
      picture,
    });
  }

  /** null, and why, where there can be none: the figure is shown all the same. */
  async #picture(): Promise<{ readonly picture: string | null; readonly lack: string }> {
    try {
      return { picture: toBase64(await this.png()), lack: "" };
    } catch (error) {
      return { picture: null, lack: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** A plain copy of a figure's options, of which `more` are its own; titles are texts. */
export function takeFigureOptions<Options extends FigureOptions>(
  operation: string,
  options: Options,
  more: readonly (keyof Options & string)[] = [],
): Options {
  const given = reading(operation, () => takeOptions(operation, options, [...FIGURE_OPTIONS, ...more]));
  for (const [name, text] of Object.entries(given)) {
    if (!/title$/i.test(name) || typeof text === "string") continue;
    throw new InputError(operation, `${name} is ${describe(text)}`, "a text");
  }
  return given;
}

/**
 * Puts plotly.js into the notebook, once more also if it is there already: in a cell of its own, figures stay
 * interactive whatever other cells are run again, cleared or moved. Outside of a notebook it does nothing.
 */
export async function embedPlotly(): Promise<void> {
  if (!notebookKernel()) return;
  const library = await embeddedLibrary();
  const bundle: MimeBundle = {
    "text/plain": "plotly.js for the figures of this notebook",
    "text/html": library,
  };
  await show({ [DISPLAY]: () => bundle, [INSPECT]: () => bundle["text/plain"] });
  hasLibrary = true;
}

/**
 * The part of a layout that is the title, with the legend below it; of a figure of this height. The title may have
 * several lines.
 */
export function titled(
  { title, height: given }: FigureOptions,
  height: number = HEIGHT,
  lines = 1,
): PlainObject {
  if (title === undefined) return {};
  const shown = plotlyText(title), more = (lines - 1) * LINE;
  const top = { xref: "paper", x: 0, xanchor: "left", yref: "container", yanchor: "top" };
  return {
    // plotly.js centres several lines on the point where it would centre one.
    title: { text: shown, ...top, y: 1 - (12 + more / 2) / (given ?? height), font: { size: 15 } },
    legend: { orientation: "h", ...top, y: 1 - (36 + more) / (given ?? height) },
    margin: { l: 70, r: 24, t: 52 + more, b: 56 },
  };
}

function within(operation: string, name: string, value: number, least: number, most: number): number {
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw new InputError(operation, `${name} is ${describe(value)}`, `a number from ${least} to ${most}`);
}
