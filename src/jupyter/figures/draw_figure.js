// Runs in pages: draws a figure in its box, in the colours of light or dark surroundings. `paint` and `PALETTES` are
// declared before it, by `page_program.ts`.

const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };
const NARROW = 560;

// deno-lint-ignore no-unused-vars -- programs that follow in the page call it.
function drawFigure(Plotly, box, { data, layout, narrow = {} }, isDark) {
  const palette = isDark ? PALETTES.dark : PALETTES.light;
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
      if (trace.type === "bar" && trace.orientation !== "h") return { ...trace, textposition: "none" };
      return trace.meta?.narrowText ? { ...trace, text: trace.meta.narrowText } : trace;
    });
  }
  // Drawn anew in other colours, a figure keeps what its reader has chosen.
  if (box.data) traces.forEach((trace, at) => trace.visible = box.data[at]?.visible ?? true);
  const chosen = (painted.updatemenus ?? []).flatMap((menu, at) => {
    // There is no room for longer labels than those that are drawn.
    if (box.clientWidth < NARROW) menu.buttons.forEach(({ args }) => delete args?.[0]?.text);
    const first = menu.active ?? 0;
    menu.active = box.layout?.updatemenus?.[at]?.active ?? menu.active;
    return (menu.active ?? 0) === first ? [] : [menu.buttons[menu.active]];
  });
  return chosen.reduce(
    (drawn, { method, args }) => drawn.then(() => Plotly[method](box, ...args)),
    Promise.resolve(Plotly.react(box, traces, painted, CONFIG)),
  );
}
