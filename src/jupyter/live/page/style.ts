/**
 * How the figure looks, inside its own shadow tree.
 */

import { styleVariables } from "../../figures/palette.ts";

/** The style sheet. */
export const STYLE: string = `
:host { display: block; margin: 8px 0; }
.figure {
  ${styleVariables("light")} color: var(--ink);
  font: 13px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  max-width: 960px; text-align: left; accent-color: var(--exact);
}
.figure.dark { ${styleVariables("dark")} color-scheme: dark; }
* { box-sizing: border-box; }
h3 { font-size: 15px; font-weight: 600; margin: 0 0 8px; }
h4 { font-size: 13px; font-weight: 600; margin: 0 0 2px; }
.halves { display: flex; flex-wrap: wrap; gap: 16px 28px; align-items: flex-start; }
.half { flex: 1 1 320px; min-width: 0; max-width: 100%; }
canvas { display: block; max-width: 100%; }
.map { cursor: pointer; touch-action: manipulation; }
.note, .readout { color: var(--faint); margin: 2px 0 6px; min-height: 1.45em; }
.controls {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 8px 20px; background: var(--panel);
  border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px; margin: 10px 0 0;
}
.control { display: block; min-width: 0; }
.control span { display: flex; justify-content: space-between; gap: 8px; }
.control output { font-variant-numeric: tabular-nums; color: var(--faint); }
input, select, button { font: inherit; color: inherit; }
input[type=range] { width: 100%; margin: 2px 0 0; height: 22px; display: block; }
select, button {
  width: 100%; background: transparent; border: 1px solid var(--line); border-radius: 4px; padding: 2px 6px;
  min-height: 26px;
}
option { background: var(--panel); color: var(--ink); }
button { cursor: pointer; }
button:hover { border-color: var(--faint); }
:focus-visible { outline: 2px solid var(--exact); outline-offset: 2px; }
.buttons { display: flex; gap: 8px; align-items: flex-end; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 6px 0 0; background: transparent; }
th, td { text-align: right; vertical-align: bottom; padding: 2px 0 2px 12px; font-weight: 400; border: 0; }
td { white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; color: var(--faint); }
thead th, thead td { border-bottom: 1px solid var(--line); font-weight: 600; }
.exact { color: var(--exact); }
.stale { color: var(--stale); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;
