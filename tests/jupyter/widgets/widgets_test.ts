// Widgets against a front end that is played here: what goes out by each protocol, what comes in, and what is refused. The page
// itself is tested in tests/kernel/widgets_page_test.ts.

import { DynamicAttention } from "../../../mod.ts";
import { InputError } from "../../../src/base/errors.ts";
import {
  button,
  liveFigure,
  select,
  setWidgetProtocol,
  slider,
  toggle,
  type Widget,
} from "../../../src/jupyter/widgets/mod.ts";
import type { Comm, CommMessage, CommParts, FrontEnd } from "../../../src/kernel/prelude/bridge.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../../testing/assert.ts";

type Data = Record<string, unknown>;
const WIDGETS = new URL("../../../src/jupyter/widgets/mod.ts", import.meta.url).href;
const BRIDGE = Symbol.for("attune.kernel"), DISPLAY = Symbol.for("Jupyter.display");

class PlayedComm implements Comm {
  readonly sent: Data[] = [];
  isClosed = false;
  onMessage: Comm["onMessage"] = null;
  onClose: Comm["onClose"] = null;
  readonly id: string;
  readonly target: string;
  readonly data: Data;
  readonly metadata: Data;

  constructor(id: string, target: string, data: Data, metadata: Data) {
    this.id = id;
    this.target = target;
    this.data = data;
    this.metadata = metadata;
  }

  send(data: Data): void {
    this.sent.push(data);
  }

  close(): void {
    this.isClosed = true;
  }

  /** The front end says something. */
  async hear(data: Data): Promise<void> {
    await this.onMessage?.({ data, metadata: {}, buffers: [] } satisfies CommMessage);
  }

  get state(): Data {
    return (this.data.state ?? this.data) as Data;
  }
}

/** Plays a kernel with a front end while `work` runs. */
async function withFrontEnd(
  frontEnd: FrontEnd,
  work: (comms: PlayedComm[], targets: ReadonlyMap<string, (comm: PlayedComm) => unknown>) => unknown,
): Promise<void> {
  const comms: PlayedComm[] = [], targets = new Map<string, (comm: PlayedComm) => unknown>();
  const bridge = {
    version: 1,
    frontEnd,
    openComm: (target: string, data: Data, { metadata = {} }: CommParts = {}) => {
      const comm = new PlayedComm(`id${comms.length}`, target, structuredClone(data), metadata);
      comms.push(comm);
      return comm;
    },
    registerTarget: (target: string, take: (comm: PlayedComm) => unknown) => void targets.set(target, take),
  };
  Reflect.set(globalThis, BRIDGE, bridge);
  try {
    await work(comms, targets);
  } finally {
    Reflect.deleteProperty(globalThis, BRIDGE);
    setWidgetProtocol("auto");
  }
}

const show = (widget: Widget) => (widget as unknown as Record<symbol, () => Data>)[DISPLAY]();
const named = (comms: readonly PlayedComm[], name: string) =>
  comms.filter(({ state }) => state._model_name === `${name}Model`);

Deno.test("widgets: a slider by the protocols of ipywidgets 6, 7 and 8", async (t) => {
  for (
    const [version, module, protocol] of [
      [6, "jupyter-js-widgets", undefined],
      [7, "@jupyter-widgets/controls", "2.0.0"],
      [8, "@jupyter-widgets/controls", "2.1.0"],
    ] as const
  ) {
    await t.step(
      String(version),
      () =>
        withFrontEnd({ ipywidgets: version, anywidget: false }, async (comms) => {
          const control = slider({ label: "scale", min: -1, max: 1, step: 0.25, value: 0.5 });
          const seen: number[] = [];
          control.onChange((value) => seen.push(value));
          const bundle = show(control);
          const [model] = named(comms, "FloatSlider"), [box] = named(comms, "VBox");
          assertEquals([model.target, model.state._model_module, model.metadata.version], [
            "jupyter.widget",
            module,
            protocol,
          ]);
          const { min, max, step, value, description, readout_format: format } = model.state;
          assertEquals([min, max, step, value, description, format], [-1, 1, 0.25, 0.5, "scale", ".2f"]);
          assertEquals(box.state.children, [`IPY_MODEL_${model.id}`]);
          const view = bundle["application/vnd.jupyter.widget-view+json"] as Data;
          assertEquals(view.model_id, box.id);
          assertEquals(box.sent, version === 6 ? [{ method: "display" }] : []);
          await model.hear(
            version === 6
              ? { method: "backbone", sync_data: { value: -0.75 } }
              : { method: "update", state: { value: -0.75 } },
          );
          assertEquals([control.value, seen], [-0.75, [-0.75]]);
          assertEquals(model.sent, [], "what came in does not go out");
          control.value = 0.3;
          assertEquals([control.value, seen.length], [0.25, 1]);
          assertEquals((model.sent[0].state as Data).value, 0.25);
          control.close();
          assert(comms.every(({ isClosed }) => isClosed));
        }),
    );
  }
});

Deno.test("widgets: a list says which one is chosen, as the version wants it", async () => {
  for (const version of [6, 7]) {
    await withFrontEnd({ ipywidgets: version, anywidget: false }, async (comms) => {
      const control = select(["a", "b", "c"], { value: "b" });
      show(control);
      const [model] = named(comms, "Dropdown");
      assertEquals(model.state._options_labels, ["a", "b", "c"]);
      assertEquals(version === 6 ? model.state.value : model.state.index, version === 6 ? "b" : 1);
      await model.hear(
        version === 6
          ? { method: "backbone", sync_data: { value: "c" } }
          : { method: "update", state: { index: 2 } },
      );
      assertEquals(control.value, "c");
      for (const wrong of [{ value: "x", index: 9 }, { value: 3, index: "a" }, {}]) {
        await model.hear(
          version === 6 ? { method: "backbone", sync_data: wrong } : { method: "update", state: wrong },
        );
      }
      assertEquals(control.value, "c", "what cannot be chosen changes nothing");
    });
  }
});

Deno.test("widgets: buttons count their clicks, switches switch", () =>
  withFrontEnd({ ipywidgets: 8, anywidget: false }, async (comms) => {
    const press = button("go"), flag = toggle("on", true);
    let clicks = 0;
    press.onChange((value) => void (clicks = value));
    show(press);
    show(flag);
    const [pressed] = named(comms, "Button"), [switched] = named(comms, "ToggleButton");
    await pressed.hear({ method: "custom", content: { event: "click" } });
    await pressed.hear({ method: "custom", content: { event: "click" } });
    assertEquals([press.value, clicks, switched.state.value], [2, 2, true]);
    await switched.hear({ method: "update", state: { value: false } });
    assertEquals(flag.value, false);
    await switched.hear({ method: "request_state" });
    assertEquals((switched.sent.at(-1)?.state as Data).value, false);
  }));

Deno.test("widgets: by the protocol of anywidget there is one model, with its module", () =>
  withFrontEnd({ ipywidgets: 8, anywidget: true }, async (comms) => {
    const control = slider({ label: "<img onerror=alert(1)>", max: 10, step: 1 });
    const seen: number[] = [];
    control.onChange((value) => seen.push(value));
    show(control);
    assertEquals([comms.length, comms[0].state._model_module], [1, "anywidget"]);
    assertEquals(comms[0].state.values, { value: 0 });
    const module = await import(`data:text/javascript,${encodeURIComponent(String(comms[0].state._esm))}`);
    assertEquals(typeof module.default.render, "function");
    assert(!String(comms[0].state._esm).includes("innerHTML"), "labels are put in as texts");
    await comms[0].hear({ method: "update", state: { values: { value: 4, other: 1 } } });
    assertEquals([control.value, seen], [4, [4]]);
  }));

Deno.test("widgets: a live figure changes the engine, one drawing after the other", () =>
  withFrontEnd({ ipywidgets: 8, anywidget: false }, async (comms) => {
    await using live = await DynamicAttention.create({
      query: [[1, 0, 0, 1], [0, 1, 1, 0]],
      key: [[1, 0, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1]],
      value: [[1, 2], [3, 4], [5, 6]],
      heads: 2,
    });
    const figure = await liveFigure(live, { threshold: 2 });
    show(figure);
    const models = named(comms, "FloatSlider");
    const byLabel = (label: string) => models.find(({ state }) => state.description === label) as PlayedComm;
    assertEquals(models.map(({ state }) => state.description), ["key", "move by", "threshold", "head"]);
    const [picture] = named(comms, "HTML");
    const before = await live.weights(0, { head: 0 });
    await byLabel("move by").hear({ method: "update", state: { value: 1.5 } });
    const after = await live.weights(0, { head: 0 });
    assert(after[0] > before[0]);
    assertEquals([live.stats().pending, picture.sent.length], [1, 1]);
    await byLabel("key").hear({ method: "update", state: { value: 2 } });
    await byLabel("move by").hear({ method: "update", state: { value: -3 } });
    assertEquals(live.stats().pending, 0, "two edits waited, then they were applied");
    await Promise.all(
      [0.3, 0.6, 0.9].map((value) => byLabel("move by").hear({ method: "update", state: { value } })),
    );
    await byLabel("head").hear({ method: "update", state: { value: 1 } });
    const svg = atob(/base64,([^"]+)/.exec(String((picture.sent.at(-1)?.state as Data).value))![1]);
    assert(svg.includes("head 1, key 2 moved by 0.9"), svg);
    assert(!svg.includes('width="100%"'), "the page shows through: it may be dark");
    await named(comms, "Button")[0].hear({ method: "custom", content: { event: "click" } });
    const back = await live.weights(0, { head: 0 });
    assertEquals(
      [...back].map((weight) => weight.toFixed(4)),
      [...before].map((weight) => weight.toFixed(4)),
    );
    figure.close();
  }));

Deno.test("widgets: a live figure of an engine whose rows come and go, and of more keys than it draws", () =>
  withFrontEnd({ ipywidgets: 8, anywidget: false }, async (comms) => {
    await using live = await DynamicAttention.create({
      query: [[1], [2], [3]],
      key: Array.from({ length: 500 }, (_, j) => [j / 500]),
      value: Array.from({ length: 500 }, (_, j) => [j]),
    });
    live.delete(0);
    live.deleteQuery(0);
    const figure = await liveFigure(live);
    show(figure);
    const [picture] = named(comms, "HTML");
    const svg = (html: unknown) => atob(/base64,([^"]+)/.exec(String(html))![1]);
    const drawn = (text: string) => text.match(/fill="rgb/g)?.length;
    const first = svg(picture.state.value);
    assert(first.includes("head 0, key 1 moved by 0; 2 queries, 200 of 499 keys"), first);
    assertEquals(drawn(first), 2 * 200);
    assert(first.includes("#d95f02"));
    const shown = [await live.weights(1), await live.weights(2)].map((row) => row.subarray(1, 201));
    const heaviest = Math.max(...shown[0], ...shown[1]);
    assert(first.includes(`the darkest weighs ${Number(heaviest.toPrecision(3))}`), first);
    live.delete(499);
    live.deleteQuery(1);
    const models = named(comms, "FloatSlider");
    const byLabel = (label: string) => models.find(({ state }) => state.description === label) as PlayedComm;
    await byLabel("key").hear({ method: "update", state: { value: 499 } });
    await byLabel("move by").hear({ method: "update", state: { value: 1 } });
    const last = svg((picture.sent.at(-1)?.state as Data).value);
    assert(last.includes("key 499 is not there; 1 query, 200 of 498 keys"), last);
    assertEquals([drawn(last), last.includes("#d95f02")], [200, false]);
    await assertRejects(() => liveFigure(live, { key: 499 }), InputError, "expected a live key slot");
    figure.close();
  }));

Deno.test("widgets: outside of a notebook they are printed", async () => {
  const source = `import { slider } from ${JSON.stringify(WIDGETS)}; await slider({ label: "pull" }).show();`;
  const { stdout, code } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", source],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, "slider pull: 0\n"]);
});

Deno.test("widgets: in a kernel that does not hear they say so, as safe HTML", () => {
  const html = String(show(slider({ label: "<script>" }))["text/html"]);
  assert(html.includes("&#60;script&#62;") && !html.includes("<script>") && html.includes("Deno (Attune)"));
  assertEquals(Deno.inspect(toggle("flag")), "toggle flag: false");
});

Deno.test("widgets: bad input is refused before anything changes", async () => {
  assertThrows(() => slider({ min: 1, max: 1 }), InputError);
  assertThrows(() => slider({ max: NaN }), InputError);
  assertThrows(() => slider({ step: 0 }), InputError);
  assertThrows(() => select([]), InputError);
  assertThrows(() => select(["a", "a"]), InputError);
  assertThrows(() => select(["a"], { value: "b" }), InputError);
  assertThrows(() => toggle(1 as never), InputError);
  assertThrows(() => setWidgetProtocol("both" as never), InputError);
  const control = slider({ value: 0.5 });
  assertThrows(() => control.value = NaN, InputError);
  assertThrows(() => control.onChange("x" as never), InputError);
  assertEquals(control.value, 0.5);
  await assertRejects(() => liveFigure({} as never), InputError);
  await using live = await DynamicAttention.create({ query: [[1]], key: [[1]], value: [[1]] });
  await assertRejects(() => liveFigure(live, { key: 1 }), InputError);
  await using empty = await DynamicAttention.create({
    query: [[1]],
    key: { data: [], shape: [0, 1] },
    value: { data: [], shape: [0, 1] },
  });
  await assertRejects(() => liveFigure(empty), InputError, "engine has no key");
  await assertRejects(() => liveFigure(live, { reach: -1 }), InputError);
});

Deno.test("replay K8: all models answer for their state, alone and together, so that a page finds them again", async (t) => {
  for (
    const frontEnd of [{ ipywidgets: 7, anywidget: false }, { ipywidgets: 8, anywidget: false }, {
      ipywidgets: 8,
      anywidget: true,
    }]
  ) {
    await t.step(JSON.stringify(frontEnd), () =>
      withFrontEnd(frontEnd, async (comms, targets) => {
        const control = slider({ label: "scale", max: 2, value: 1 });
        show(control);
        for (const comm of comms) {
          comm.sent.length = 0;
          await comm.hear({ method: "request_state" });
          const [{ method, state }] = comm.sent as { method: string; state: Data }[];
          assertEquals([method, state._model_name], ["update", comm.state._model_name]);
        }
        control.value = 1.5;
        const page = new PlayedComm("control", "jupyter.widget.control", {}, {});
        targets.get("jupyter.widget.control")?.(page);
        await page.hear({ method: "request_states" });
        const [{ method, states }] = page.sent as {
          method: string;
          states: Record<string, { state: Data }>;
        }[];
        assertEquals([method, Object.keys(states)], ["update_states", comms.map(({ id }) => id)]);
        assert(JSON.stringify(states).includes("1.5"));
        control.close();
        page.sent.length = 0;
        await page.hear({ method: "request_states" });
        assertEquals(page.sent.map((sent) => sent.states), [{}]);
      }));
  }
});

Deno.test("replay S3: a label is a text in every dialect", async () => {
  const evil = "<img src=x onerror=alert(1)>";
  for (const [ipywidgets, isEscaped] of [[6, true], [7, true], [8, false]] as const) {
    await withFrontEnd({ ipywidgets, anywidget: false }, (comms) => {
      for (
        const widget of [slider({ label: evil }), select(["a"], { label: evil }), toggle(evil), button(evil)]
      ) show(widget);
      for (const name of ["FloatSlider", "Dropdown"]) {
        assertEquals(
          String(named(comms, name)[0].state.description).includes("<"),
          !isEscaped,
          `${ipywidgets} ${name}`,
        );
      }
      const formula = slider({ label: "$x$ <b>" });
      show(formula);
      const { description, description_allow_html: isHtml } = named(comms, "FloatSlider")[1].state;
      assertEquals(description, '<span class="tex2jax_ignore mathjax_ignore">$x$ &#60;b&#62;</span>');
      assertEquals(isHtml === true, !isEscaped);
      // On buttons all versions take it for text.
      for (const name of ["ToggleButton", "Button"]) {
        assertEquals(named(comms, name)[0].state.description, evil);
      }
    });
  }
});
