// Runs in the page of the report: draws each figure in its box and redraws it when the surroundings turn dark.
// Shared by the report and the picture for the documentation; `Plotly` is a global there.

// The colours of Okabe and Ito and the indigo of Tol, which stay apart for colour-blind eyes; those that would sink
// into a dark page are lightened.
const PALETTES = {
  light: {
    original: "#d55e00",
    patch: "#0072b2",
    adaptive: "#332288",
    everyEdit: "#a8497f",
    exact: "#009e73",
    horizon0: "#0072b2",
    horizon1: "#009e73",
    horizon2: "#d55e00",
    baseline0: "#8c8c8c",
    baseline1: "#e69f00",
    baseline2: "#56b4e9",
    baseline3: "#cc79a7",
    text: "#1d232a",
    paper: "#ffffff",
    grid: "#d8dde3",
    faint: "#f2f4f7",
  },
  dark: {
    original: "#f08a3c",
    patch: "#56b4e9",
    adaptive: "#9d86ff",
    everyEdit: "#e39cc4",
    exact: "#2fc79b",
    horizon0: "#56b4e9",
    horizon1: "#2fc79b",
    horizon2: "#f08a3c",
    baseline0: "#9aa3ad",
    baseline1: "#e69f00",
    baseline2: "#56b4e9",
    baseline3: "#cc79a7",
    text: "#e4e8ec",
    paper: "#1f262d",
    grid: "#39424c",
    faint: "#232a32",
  },
};

const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };
const NARROW = 560;

/** A copy of plain data with colours in the place of their names. */
function paint(value, palette) {
  if (typeof value === "string") return value.startsWith("$") ? palette[value.slice(1)] : value;
  if (Array.isArray(value)) return value.map((entry) => paint(entry, palette));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, paint(entry, palette)]));
}

function draw(figures, isDark) {
  const palette = isDark ? PALETTES.dark : PALETTES.light;
  for (const [id, { data, layout, narrow }] of Object.entries(figures)) {
    const box = document.getElementById(id);
    const painted = paint(layout, palette);
    let traces = paint(data, palette);
    if (box.clientWidth < NARROW) {
      painted.margin = { ...painted.margin, l: 48, r: 12 };
      for (const [path, value] of Object.entries(narrow)) {
        const [axis, attribute] = path.split(".");
        painted[axis] = { ...painted[axis], [attribute]: value };
      }
      // Numbers over bars this thin would be too small to read; the table has them.
      traces = traces.map((trace) => {
        if (trace.type === "bar") return { ...trace, textposition: "none" };
        return trace.meta ? { ...trace, text: trace.meta.narrowText } : trace;
      });
    }
    globalThis.Plotly.react(box, traces, painted, CONFIG);
  }
}

const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
draw(figures, dark.matches);
dark.addEventListener("change", () => draw(figures, dark.matches));
