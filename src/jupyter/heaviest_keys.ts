/**
 * The keys that a query attends to most, as bars.
 */

import type { WeightedKey } from "../engine/answers.ts";
import { formatNumber } from "../display/format.ts";
import type { PlainObject } from "./figures/figure_data.ts";
import { axis, base, plotlyText } from "./figures/layout.ts";
import { describe, InputError } from "../base/errors.ts";
import { reading } from "../base/lists.ts";
import { isId, type RowId } from "../write/row_ids.ts";
import { checkNames } from "../base/names.ts";
import { Figure, type FigureOptions, takeFigureOptions, titled } from "./figure.ts";
import { checkList, checkTexts, plainNumber } from "./figure_input.ts";

/** What {@link heaviestKeys} may be told. */
export interface HeaviestKeysOptions extends FigureOptions {
  /** Labels of the keys, in their order; "key" and the number of a slot or id, or the text of an id, unless given. */
  readonly labels?: readonly string[];
}

/**
 * Weights as lying bars, in the order given, the first at the top.
 *
 * @param keys What `live.topKeys(query, count)` answers.
 * @param options Labels, and how it is shown.
 * @throws {InputError} When keys is no list, or there are not as many labels as keys.
 *
 * @example
 * ```ts
 * import { DynamicAttention } from "@attune/attention";
 * import { heaviestKeys } from "@attune/attention/jupyter";
 * import { assertEquals } from "@std/assert";
 *
 * await using live = await DynamicAttention.create({ query: [[1]], key: [[0], [3]], value: [[1], [2]] });
 * const shown = heaviestKeys(await live.topKeys(0, 2), { labels: ["second", "first"] });
 * assertEquals(Deno.inspect(shown), "Figure: the 2 heaviest keys carry 1 of all weight");
 * ```
 */
export function heaviestKeys(keys: readonly WeightedKey<RowId>[], options: HeaviestKeysOptions = {}): Figure {
  const operation = "heaviestKeys";
  return reading(operation, () => {
    const given = takeFigureOptions(operation, options, ["labels"]);
    const { labels } = given;
    checkList(operation, "keys", keys);
    for (let at = 0; at < keys.length; at++) checkKey(operation, `keys[${at}]`, keys[at]);
    if (labels !== undefined) checkTexts(operation, "labels", labels, keys.length);
    const names = keys.map(({ slot }, at) => plotlyText(labels ? String(labels[at]) : nameOf(slot)));
    const data: PlainObject[] = [{
      type: "bar",
      orientation: "h",
      x: keys.map(({ weight }) => plainNumber(weight)),
      y: keys.map((_, at) => at),
      text: keys.map(({ weight }) => formatNumber(weight)),
      textposition: "outside",
      cliponaxis: false,
      textfont: { color: "$text" },
      customdata: keys.map(({ slot, weight }, at) =>
        // A number may be a slot or an id of the caller's.
        `${names[at]}<br>${labels ? `${plotlyText(nameOf(slot))}, ` : ""}weight ${formatNumber(weight)}`
      ),
      hovertemplate: "%{customdata}<extra></extra>",
      marker: { color: "$blue" },
    }];
    const most = keys.reduce((most, { weight }) => Math.max(most, weight), 0);
    const layout: PlainObject = {
      ...base(),
      ...titled(given),
      xaxis: { ...axis("weight"), exponentformat: "e", range: [0, (most || 1) * 1.12] },
      yaxis: {
        ...axis(""),
        tickvals: names.map((_, at) => at),
        ticktext: names,
        range: [Math.max(1, names.length) - 0.5, -0.5],
        showgrid: false,
      },
      bargap: 0.25,
      showlegend: false,
    };
    const sum = keys.reduce((sum, { weight }) => sum + weight, 0);
    const which = keys.length === 1 ? "heaviest key carries" : `${keys.length} heaviest keys carry`;
    const description = `the ${which} ${formatNumber(sum)} of all weight`;
    return new Figure(operation, { data, layout }, description, {
      height: Math.min(900, 110 + 30 * Math.max(1, keys.length)),
      ...given,
    });
  });
}

/** A number is told to be a key's; another id says itself what it is of. */
function nameOf(slot: RowId): string {
  return typeof slot === "number" ? `key ${slot}` : String(slot);
}

function checkKey(operation: string, name: string, key: unknown): void {
  if (typeof key !== "object" || key === null) {
    throw new InputError(operation, `${name} is ${describe(key)}`, "{ slot, weight }");
  }
  checkNames(operation, key, ["slot", "weight"], `${name} field`);
  const { slot, weight } = key as Partial<WeightedKey<RowId>>;
  if (!isId(slot)) throw new InputError(operation, `${name}.slot is ${describe(slot)}`, "a slot or an id");
  if (typeof weight === "number") return;
  throw new InputError(operation, `${name}.weight is ${describe(weight)}`, "a number");
}
