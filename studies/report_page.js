// Runs in the page of the report: draws each figure in its box and redraws it when the surroundings turn dark.
// Shared by the report and the picture for the documentation; `drawFigure` is declared before it.

const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

function drawAll() {
  for (const [id, figure] of Object.entries(figures)) {
    drawFigure(globalThis.Plotly, document.getElementById(id), figure, dark.matches);
  }
}

drawAll();
dark.addEventListener("change", drawAll);
