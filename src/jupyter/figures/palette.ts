/**
 * The colours of figures, for light and for dark surroundings.
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
