/**
 * Whether the page around the figure is light or dark, and the colours for either. The blues of the map differ in
 * lightness alone; blue, orange and vermilion are told apart by colour-blind readers (Okabe and Ito, 2008).
 */

/** Colours that canvases need; the rest is in the style sheet. */
export interface Palette {
  readonly ink: string;
  readonly faint: string;
  readonly grid: string;
  readonly exact: string;
  readonly stale: string;
  readonly edited: string;
  readonly hatch: string;
  /** The map from weight 0 to the largest, as red, green and blue. */
  readonly map: readonly (readonly [number, number, number])[];
}

/** For light pages. */
export const LIGHT: Palette = {
  ink: "#1c2530",
  faint: "#5b6672",
  grid: "#d9dfe5",
  exact: "#0072b2",
  stale: "#b35c00",
  edited: "#d55e00",
  hatch: "#b9c2cc",
  map: [[247, 250, 253], [198, 219, 239], [107, 174, 214], [33, 113, 181], [8, 48, 107]],
};

/** For dark pages. */
export const DARK: Palette = {
  ink: "#e6ebf0",
  faint: "#a0abb7",
  grid: "#3a444f",
  exact: "#56b4e9",
  stale: "#f0a73a",
  edited: "#ff8c42",
  hatch: "#4b5763",
  map: [[24, 30, 37], [22, 58, 94], [33, 105, 158], [86, 170, 222], [214, 238, 255]],
};

/** The colour of a share of the largest weight. */
export function mapColour({ map }: Palette, share: number): string {
  const at = Math.min(Math.max(share, 0), 1) * (map.length - 1);
  const from = Math.min(Math.floor(at), map.length - 2);
  const mixed = map[from].map((start, channel) => start + (map[from + 1][channel] - start) * (at - from));
  return `rgb(${mixed.map(Math.round).join(" ")})`;
}

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
