/**
 * Widgets that answer, in the kernel "Deno (Attune)": what the reader moves changes what the kernel computes.
 *
 * ```ts
 * import { slider } from "@attune/attention/widgets";
 *
 * const scale = slider({ label: "scale", min: 0, max: 2, value: 1 });
 * scale.onChange((value) => console.log(value));
 * ```
 *
 * They show with the front end of ipywidgets, or by the protocol of anywidget. In a kernel that does not hear its front end
 * they show what they are, and that they stay.
 *
 * @module
 */

export type { Matrix } from "../../base/matrix.ts";
export { button, Control, select, slider, type SliderOptions, toggle } from "./controls.ts";
export {
  type Comm,
  type CommMessage,
  type CommParts,
  type CommTarget,
  type JsonObject,
  onComm,
  openComm,
} from "./comm.ts";
export { interact, type InteractControls, type InteractValues, Output } from "./output.ts";
export type { FollowedRows } from "./followed_weights.ts";
export { type LiveEngine, LiveFigure, liveFigure, type LiveFigureOptions } from "./live_figure.ts";
export type { ControlSpec, ControlValue } from "./panel.ts";
export { setWidgetProtocol, Widget, type WidgetProtocol } from "./widget.ts";
