/**
 * The front end of a panel, as a module by the protocol of anywidget (https://anywidget.dev/en/afm/): it draws the controls
 * itself and needs no network.
 *
 * Invariant: texts go into the page as texts, pictures as images; nothing of either can run.
 */

/** The module's text. */
export const PANEL_MODULE = `
const make = {
  slider(spec, value, change) {
    const input = document.createElement("input"), shown = document.createElement("output");
    Object.assign(input, { type: "range", min: spec.min, max: spec.max, step: spec.step });
    input.style.cssText = "display:inline-block;width:16em;vertical-align:middle";
    shown.style.cssText = "display:inline-block;padding-left:1em";
    input.addEventListener("input", () => { shown.textContent = input.value; change(Number(input.value)); });
    return [[input, shown], (value) => { input.value = value; shown.textContent = String(value); }];
  },
  select(spec, value, change) {
    const input = document.createElement("select");
    for (const text of spec.options) {
      const option = document.createElement("option");
      option.textContent = option.value = text;
      input.append(option);
    }
    input.addEventListener("change", () => change(input.value));
    return [[input], (value) => { input.value = value; }];
  },
  toggle(spec, value, change) {
    const input = document.createElement("input");
    input.type = "checkbox";
    input.addEventListener("change", () => change(input.checked));
    return [[input], (value) => { input.checked = value; }];
  },
  button(spec, value, change) {
    const input = document.createElement("button");
    input.textContent = spec.label;
    let count = value;
    input.addEventListener("click", () => change(++count));
    return [[input], (value) => { count = value; }];
  },
};
function render({ model, el }) {
  el.classList.add("attune-panel");
  const setters = new Map();
  for (const [name, spec] of Object.entries(model.get("controls"))) {
    const row = document.createElement("div"), label = document.createElement("label");
    row.dataset.control = name;
    label.textContent = spec.kind === "button" ? "" : spec.label;
    label.style.cssText = "display:inline-block;box-sizing:border-box;min-width:7em;padding-right:.7em";
    const change = (value) => {
      model.set("values", { ...model.get("values"), [name]: value });
      model.save_changes();
    };
    const [elements, set] = make[spec.kind](spec, model.get("values")[name], change);
    set(model.get("values")[name]);
    setters.set(name, set);
    row.append(label, ...elements);
    el.append(row);
  }
  for (let at = 0; at < model.get("pictures"); at++) {
    const image = document.createElement("img");
    image.style.cssText = "display:block;max-width:100%";
    const draw = () => {
      image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(model.get("picture" + at));
    };
    draw();
    el.append(image);
    model.on("change:picture" + at, draw);
  }
  model.on("change:values", () => {
    for (const [name, value] of Object.entries(model.get("values"))) setters.get(name)?.(value);
  });
}
export default { render };
`;

/**
 * For the classic notebook without anywidget: makes it known to ipywidgets there, so that modules of this kind are loaded.
 * Elsewhere it does nothing.
 */
export const CLASSIC_LOADER = `
(function () {
  if (typeof define !== "function" || !define.amd || typeof requirejs !== "function") return;
  if (requirejs.defined("anywidget")) return;
  function build(base) {
    var load = function (text) {
      var url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      return import(url).finally(function () { URL.revokeObjectURL(url); });
    };
    var AnyView = base.DOMWidgetView.extend({
      render: function () {
        var view = this;
        return load(this.model.get("_esm")).then(function (module) {
          return module.default.render({ model: view.model, el: view.el });
        });
      },
    });
    return { AnyModel: base.DOMWidgetModel, AnyView: AnyView };
  }
  var name = requirejs.specified("@jupyter-widgets/base") ? "@jupyter-widgets/base" : "nbextensions/jupyter-js-widgets/extension";
  define("anywidget", [name], build);
})();
`;
