// A live figure with an error: which rows it asks the engine for, and what of it is sent to a front end that is
// played here.

import { DynamicAttention } from "../../../mod.ts";
import { InputError } from "../../../src/base/errors.ts";
import { liveFigure, type Widget } from "../../../src/jupyter/widgets/mod.ts";
import { assert, assertEquals, assertLess, assertRejects } from "../../../testing/assert.ts";
import { Random } from "../../../testing/random.ts";

type Data = Record<string, unknown>;
type Hear = (data: Data) => Promise<void>;

interface Model {
  readonly state: Data;
  readonly sent: Data[];
  readonly comm: { onMessage: ((message: { data: Data; metadata: Data; buffers: [] }) => unknown) | null };
}

const BRIDGE = Symbol.for("attune.kernel"), DISPLAY = Symbol.for("Jupyter.display");

/** Plays a kernel with a front end while `work` runs. */
async function withFrontEnd(anywidget: boolean, work: (models: Model[]) => Promise<void>): Promise<void> {
  const models: Model[] = [];
  Reflect.set(globalThis, BRIDGE, {
    version: 1,
    frontEnd: { ipywidgets: 8, anywidget },
    openComm: (target: string, { state }: { state: Data }) => {
      const sent: Data[] = [];
      const comm = {
        id: `id${models.length}`,
        target,
        onMessage: null,
        onClose: null,
        send: ({ state }: { state: Data }) => sent.push(structuredClone(state)),
        close: () => {},
      };
      models.push({ state: structuredClone(state), sent, comm });
      return comm;
    },
    registerTarget: () => {},
  });
  try {
    await work(models);
  } finally {
    Reflect.deleteProperty(globalThis, BRIDGE);
  }
}

const show = (widget: Widget) => (widget as unknown as Record<symbol, () => Data>)[DISPLAY]();
const svgOf = (html: unknown) => atob(/base64,([^"]+)/.exec(String(html))![1]);
const hear = ({ comm }: Model): Hear => async (data) => {
  await comm.onMessage?.({ data, metadata: {}, buffers: [] });
};
const move = (model: Model, value: number) => hear(model)({ method: "update", state: { value } });

/** An engine of so many queries over 64 keys, which notes the queries whose weights are asked for. */
async function watchedEngine(queries: number) {
  const random = new Random(3), asked: number[] = [];
  const live = await DynamicAttention.create({
    query: random.rows(queries, 4),
    key: random.rows(64, 4),
    value: random.rows(64, 3),
  });
  const weights = live.weights.bind(live);
  live.weights = (slot, options) => {
    asked.push(slot);
    return weights(slot, options);
  };
  return { live, asked };
}

Deno.test("a live figure with an error draws and sends the rows that left it, and no others", () =>
  withFrontEnd(false, async (models) => {
    const { live, asked } = await watchedEngine(3);
    const figure = await liveFigure(live, { error: 0.05 });
    show(figure);
    const named = (name: string) => models.filter(({ state }) => state._model_name === `${name}Model`);
    const pictures = named("HTML"), words = pictures[3], slider = named("FloatSlider")[1];
    assertEquals([pictures.length, asked], [4, [0, 1, 2]]);
    const first = await live.weights(0);
    asked.length = 0;
    await move(slider, 0.06);
    assertEquals(asked, [], "a small move is within the error");
    assertEquals(pictures.map(({ sent }) => sent.length), [0, 0, 0, 1]);
    assert(svgOf(words.sent[0].value).includes("key 0 moved by 0.06"));
    assert(svgOf(words.sent[0].value).includes("drawn anew: 0 of 3"));
    await move(slider, 3);
    assertEquals(asked, [0, 1, 2], "a large one is not");
    assertEquals(pictures.map(({ sent }) => sent.length), [1, 1, 1, 2]);
    const squares = svgOf(pictures[0].sent[0].value).match(/fill="rgb/g)?.length;
    assertEquals(squares, 64);
    await move(slider, 0);
    const back = await live.weights(0);
    back.forEach((weight, j) => assertLess(Math.abs(weight - first[j]), 1e-6));
    figure.close();
    await live.dispose();
  }));

Deno.test("rows of a figure with an error are those of the head that is chosen, and of the queries there are", () =>
  withFrontEnd(true, async () => {
    const random = new Random(4);
    await using live = await DynamicAttention.create({
      query: random.rows(3, 4),
      key: random.rows(5, 4),
      value: random.rows(5, 4),
      heads: 2,
    });
    const figure = await liveFigure(live, { error: 0.5, threshold: 2 });
    const pictures = () => (figure as unknown as { panel: { pictures: string[] } }).panel.pictures;
    const take = (name: string, value: number) => {
      return (figure as unknown as { panel: { take(name: string, value: number): Promise<void> } }).panel
        .take(name, value);
    };
    const before = pictures();
    await take("move", 0.5);
    assertEquals(pictures().slice(0, 3), before.slice(0, 3), "one edit waits");
    await take("head", 1);
    for (let row = 0; row < 3; row++) assert(pictures()[row] !== before[row], `row ${row}`);
    // Another query comes into the slot of one that goes.
    live.deleteQuery(1);
    await figure.draw();
    assert(!pictures()[1].includes('fill="rgb'));
    assertEquals(live.insertQuery([2, -2, 2, -2]), 1);
    await figure.draw();
    assert(pictures()[1].includes('fill="rgb'));
    live.deleteQuery(1);
    live.insertQuery([-2, 2, -2, 2]);
    const last = pictures()[1];
    await figure.draw();
    assert(pictures()[1] !== last, "the weights of a query that is gone are not shown");
    figure.close();
    live.setKey(0, [1, 1, 1, 1]);
    assertEquals((await live.read()).data.length, 12);
  }));

Deno.test("by the protocol of anywidget a picture that changes is sent alone", () =>
  withFrontEnd(true, async (models) => {
    const { live } = await watchedEngine(2);
    const figure = await liveFigure(live, { error: 0.05 });
    show(figure);
    const [model] = models;
    assertEquals(model.state.pictures, 3);
    for (const at of [0, 1, 2]) assert(String(model.state[`picture${at}`]).startsWith("<svg"));
    await hear(model)({ method: "update", state: { values: { move: 0.06 } } });
    assertEquals(model.sent.map((state) => Object.keys(state)), [["picture2"]]);
    figure.close();
    await live.dispose();
  }));

Deno.test("a live figure refuses an error that is none", async () => {
  const { live } = await watchedEngine(1);
  for (const error of [-1, NaN, Infinity, "0.1"]) {
    await assertRejects(() => liveFigure(live, { error: error as number }), InputError, "error is");
  }
  await live.dispose();
});
