/**
 * Whether the page around the figure is light or dark, and the colours for either.
 */

import { type ColorScale, WEIGHTS } from "../../../display/color_scales.ts";
import { PAGE_COLORS, type PageColors } from "../../figures/palette.ts";

/** Colours that canvases need; elements take them from the style sheet. */
export interface PageTheme extends PageColors {
  /** From weight 0 to the largest. */
  readonly weights: ColorScale;
}

/** For light pages. */
export const LIGHT: PageTheme = { ...PAGE_COLORS.light, weights: WEIGHTS.light };

/** For dark pages. */
export const DARK: PageTheme = { ...PAGE_COLORS.dark, weights: WEIGHTS.dark };

/** Whether what is around an element is dark: what the front end says, else what is behind it, else the reader's wish. */
export function isDark(host: HTMLElement): boolean {
  const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
  if (jpThemeLight !== undefined) return jpThemeLight === "false";
  if (vscodeThemeKind !== undefined) return /dark|high-contrast$/.test(vscodeThemeKind);
  for (let around: HTMLElement | null = host; around; around = around.parentElement) {
    const [red, green, blue, alpha = 1] =
      getComputedStyle(around).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (blue !== undefined && alpha > 0.5) return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 110;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/**
 * Calls back whenever that may have changed. It does not hold the callback, so that a figure whose cell has run again can
 * be forgotten.
 */
export function onThemeChange(callback: () => void): void {
  const weak = new WeakRef(callback);
  const gone = new AbortController();
  const tell = () => {
    const alive = weak.deref();
    if (alive) alive();
    else gone.abort();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell, { signal: gone.signal });
  const observer = new MutationObserver(tell);
  const attributeFilter = ["class", "style", "data-jp-theme-light", "data-vscode-theme-kind", "data-theme"];
  for (const watched of [document.body, document.documentElement]) {
    observer.observe(watched, { attributeFilter });
  }
  gone.signal.addEventListener("abort", () => observer.disconnect());
}
