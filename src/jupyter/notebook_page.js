// Runs once in the page of a notebook: draws the figures that have told of themselves, those that do so later, and all
// of them anew when the page turns dark or light. `readPlotly`, `drawFigure` and `page` are declared before it.
//
// Figures tell of themselves in `page.figures`, by the value of their boxes' attribute data-attune-figure; a cell that
// runs before this program leaves its figure there all the same.

let library;

/** In a script element and not by a loader of modules: pages with RequireJS refuse what has no name. */
function runPlotly(source) {
  const before = globalThis.Plotly;
  const script = document.createElement("script");
  script.textContent = `globalThis.attunePlotly = (function (module, exports, define) {${source}
return module.exports;
})({ exports: {} });`;
  document.head.append(script);
  script.remove();
  if (before) globalThis.Plotly = before;
  if (!globalThis.attunePlotly?.react) throw new Error("the page does not let it run");
  return globalThis.attunePlotly;
}

function isDark(box) {
  const { jpThemeLight, vscodeThemeKind } = document.body?.dataset ?? {};
  if (jpThemeLight !== undefined) return jpThemeLight === "false";
  if (vscodeThemeKind !== undefined) return /dark$|high-contrast$/.test(vscodeThemeKind);
  for (let element = box; element; element = element.parentElement) {
    const [red, green, blue, alpha = 1] = getComputedStyle(element).backgroundColor.match(/[\d.]+/g).map(
      Number,
    );
    if (alpha > 0.5) return 0.3 * red + 0.6 * green + 0.1 * blue < 128;
  }
  // Nothing is painted: the page is white, unless it says that it follows the reader's choice.
  const schemes = getComputedStyle(document.documentElement).colorScheme;
  if (!schemes.includes("dark")) return false;
  return !schemes.includes("light") || matchMedia("(prefers-color-scheme: dark)").matches;
}

function boxesOf(id) {
  return document.querySelectorAll(`[data-attune-figure="${id}"]`);
}

async function drawBoxes(id, figure, isAnew) {
  for (const box of boxesOf(id)) {
    const isDrawn = box.dataset.attuneDrawn !== undefined;
    if (isDrawn && !isAnew) continue;
    if (!isDrawn) {
      box.dataset.attuneDrawn = "";
      const plot = document.createElement("div");
      plot.style.cssText = "width:100%;height:100%";
      box.replaceChildren(plot);
    }
    await drawFigure(globalThis.attunePlotly, box.firstElementChild, figure, isDark(box));
  }
}

async function drawAll(isAnew = false) {
  try {
    await (library ??= readPlotly().then(runPlotly));
  } catch (error) {
    for (const note of document.querySelectorAll("[data-attune-figure] [data-attune-note]")) {
      note.textContent = `This is a still picture: plotly.js could not be loaded (${error.message}).`;
      note.hidden = false;
    }
    return;
  }
  for (const [id, figure] of page.figures) await drawBoxes(id, figure, isAnew);
}

page.draw = () => drawAll();
page.draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));

const themes = new MutationObserver(() => drawAll(true));
function watchThemes() {
  const attributeFilter = ["class", "data-jp-theme-light", "data-vscode-theme-kind"];
  themes.observe(document.body, { attributes: true, attributeFilter });
}
// A page of nothing but figures has no body yet.
if (document.body) watchThemes();
else document.addEventListener("DOMContentLoaded", watchThemes);
