/**
 * Where things lie in a picture: the box of each pair of axes, and what is around them.
 */

import type { Axis } from "./axis.ts";

/** A rectangle, from its left upper corner. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The box that a pair of axes takes of the whole area of plots. */
export function boxOf(area: Box, x: Axis, y: Axis): Box {
  const width = x.domain[1] - x.domain[0], height = y.domain[1] - y.domain[0];
  return {
    left: area.left + x.domain[0] * area.width,
    top: area.top + (1 - y.domain[1]) * area.height,
    width: width * area.width,
    height: height * area.height,
  };
}

/** The point of two values, or null where one of them has no place. */
export type PointOf = (x: number | null, y: number | null) => readonly [x: number, y: number] | null;

/** From shares of the axes to a point of the box. */
export function pointIn(box: Box): PointOf {
  return (x, y) =>
    x === null || y === null ? null : [box.left + x * box.width, box.top + (1 - y) * box.height];
}
