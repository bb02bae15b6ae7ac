/**
 * From SVG to PNG, by resvg in WebAssembly and with DejaVu Sans, both loaded when they are first asked for.
 *
 * Invariant: what is drawn depends on these two packages alone, never on fonts of the machine.
 */

// deno-lint-ignore no-import-prefix -- what is published names its dependencies in full.
import { initWasm, Resvg } from "npm:@resvg/resvg-wasm@2.6.2";
// Nothing of it is used but that its package, in which the font is, is there.
// deno-lint-ignore no-import-prefix -- what is published names its dependencies in full.
import "npm:dejavu-fonts-ttf@2.37.3/package.json" with { type: "json" };
import { TextMetrics } from "./text_metrics.ts";

const RENDERER = "npm:@resvg/resvg-wasm@2.6.2/index_bg.wasm";
const FONT = "npm:dejavu-fonts-ttf@2.37.3/ttf/DejaVuSans.ttf";
const BOLD_FONT = "npm:dejavu-fonts-ttf@2.37.3/ttf/DejaVuSans-Bold.ttf";

/** Renders SVG whose text is in DejaVu Sans. */
export class Rasterizer {
  static #loading: Promise<Rasterizer> | null = null;
  /** The metrics of the font that it draws with. */
  readonly metrics: TextMetrics;
  readonly #fonts: Uint8Array[];

  private constructor(fonts: [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>]) {
    this.metrics = new TextMetrics(fonts[0]);
    this.#fonts = fonts;
  }

  /**
   * The one there is in this process; a failure is not kept. Needs read permission for the packages' files.
   */
  static load(): Promise<Rasterizer> {
    Rasterizer.#loading ??= Rasterizer.#load().catch((error) => {
      Rasterizer.#loading = null;
      throw error;
    });
    return Rasterizer.#loading;
  }

  static async #load(): Promise<Rasterizer> {
    const [renderer, font, bold] = await Promise.all([RENDERER, FONT, BOLD_FONT].map(readPackaged));
    await initWasm(renderer);
    return new Rasterizer([font, bold]);
  }

  /** A PNG of `zoom` pixels a unit. */
  render(svg: string, zoom: number): Uint8Array<ArrayBuffer> {
    const resvg = new Resvg(svg, {
      fitTo: { mode: "zoom", value: zoom },
      font: { fontBuffers: this.#fonts, defaultFontFamily: "DejaVu Sans", loadSystemFonts: false },
    });
    try {
      const image = resvg.render();
      try {
        return new Uint8Array(image.asPng());
      } finally {
        image.free();
      }
    } finally {
      resvg.free();
    }
  }
}

function readPackaged(specifier: string): Promise<Uint8Array<ArrayBuffer>> {
  return Deno.readFile(new URL(import.meta.resolve(specifier)));
}
