/**
 * The colours of figures and of the pages around them, for light and for dark surroundings; those of numbers are in
 * `src/display/color_scales.ts`. No file of figures and pages names another (`tests/repository/colors_test.ts`).
 *
 * Those of Okabe and Ito and the indigo of Tol, which stay apart for colour-blind eyes; those that would sink into a
 * dark page are lightened.
 */

/** Colours by name. */
export type Palette = Readonly<Record<string, string>>;

/** Whether what surrounds a figure is light or dark. */
export type Theme = "light" | "dark";

/** The same names in both. */
export const PALETTES: Readonly<Record<Theme, Palette>> = {
  light: {
    blue: "#0072b2",
    orange: "#d55e00",
    green: "#009e73",
    indigo: "#332288",
    mauve: "#a8497f",
    amber: "#e69f00",
    sky: "#56b4e9",
    pink: "#cc79a7",
    grey: "#8c8c8c",
    text: "#1d232a",
    paper: "#ffffff",
    grid: "#d8dde3",
    faint: "#f2f4f7",
    masked: "#e3e6ea",
    mark: "#9aa3ad",
  },
  dark: {
    blue: "#56b4e9",
    orange: "#f08a3c",
    green: "#2fc79b",
    indigo: "#9d86ff",
    mauve: "#e39cc4",
    amber: "#e69f00",
    sky: "#8fd0f5",
    pink: "#cc79a7",
    grey: "#9aa3ad",
    text: "#e4e8ec",
    paper: "#1f262d",
    grid: "#39424c",
    faint: "#232a32",
    masked: "#2d353d",
    mark: "#5d6975",
  },
};

/** For series that have no colour of their own, in this order. */
export const SERIES: readonly string[] = [
  "$blue",
  "$orange",
  "$green",
  "$indigo",
  "$mauve",
  "$amber",
  "$sky",
  "$grey",
];

/** What a picture takes where a figure names no colour. */
export const UNPAINTED = {
  mark: "#888888",
  text: "#444444",
  paper: PALETTES.light.paper,
  grid: PALETTES.light.grid,
} as const;

/** The colours of a page, by what they are for. */
export interface PageColors {
  readonly ink: string;
  /** The colour of secondary text. */
  readonly faint: string;
  readonly line: string;
  readonly page: string;
  readonly panel: string;
  /** Green that is read as text. */
  readonly accent: string;
  /** Exact answers and the query that is looked at, stale answers, the key that is edited, and pairs without weight. */
  readonly exact: string;
  readonly stale: string;
  readonly edited: string;
  readonly hatch: string;
  /** Links, and in code words of the language and texts. */
  readonly link: string;
  readonly word: string;
  readonly text: string;
}

const { light, dark } = PALETTES;

/** Those of figures where there is one; the others are darker or lighter, so that text is read on page and panel. */
export const PAGE_COLORS: Readonly<Record<Theme, PageColors>> = {
  light: {
    ink: light.text,
    faint: "#57616d",
    line: light.grid,
    page: light.paper,
    panel: "#f6f8fa",
    accent: "#00805d",
    exact: light.blue,
    stale: "#b35c00",
    edited: light.orange,
    hatch: "#b9c2cc",
    link: "#0060a0",
    word: "#8a3a00",
    text: "#1a6b3c",
  },
  dark: {
    ink: dark.text,
    faint: "#a0abb7",
    line: dark.grid,
    page: "#161b20",
    panel: dark.paper,
    accent: dark.green,
    exact: dark.blue,
    stale: "#f0a73a",
    edited: dark.orange,
    hatch: "#4b5763",
    link: "#7cc4f5",
    word: "#f5b264",
    text: "#8fd6a6",
  },
};

/** They as variables of a style sheet: `--ink: #1d232a; …`. */
export function styleVariables(theme: Theme): string {
  return Object.entries(PAGE_COLORS[theme]).map(([name, color]) => `--${name}: ${color};`).join(" ");
}

/** The rules that give a page of its own the colours that its reader wants. */
export function pageColorRules(): string {
  return `:root { color-scheme: light dark; ${styleVariables("light")} }
@media (prefers-color-scheme: dark) { :root { ${styleVariables("dark")} } }`;
}
