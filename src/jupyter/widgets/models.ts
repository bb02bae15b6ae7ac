/**
 * The models of all widgets, by which a page finds them again after it was reloaded
 * (https://github.com/jupyter-widgets/ipywidgets/blob/main/packages/schema/messages.md).
 *
 * Invariant: a model that is open answers for its state, alone and with all others; one that is closed is forgotten.
 */

import type { Comm, KernelBridge } from "../../kernel/prelude/bridge.ts";

/** What a model holds: name → value. */
export type State = Record<string, unknown>;

/** How a version of the protocol packs what it sends. */
export interface Packing {
  /** The version of the protocol, in the metadata; null before there was one. */
  readonly protocol: string | null;
}

const CONTROL = "jupyter.widget.control";
/** Bridges whose front ends can ask for all models at once, with these. */
const known = new WeakMap<KernelBridge, Map<string, WidgetModel>>();

/** A model and its comm. */
export class WidgetModel {
  readonly comm: Comm;
  readonly state: State;
  /** Takes what the front end says, and is not a question for the state. */
  onMessage: ((data: State) => unknown) | null = null;
  readonly #packing: Packing;
  readonly #all: Map<string, WidgetModel>;

  /** Opens it. */
  constructor(bridge: KernelBridge, packing: Packing, state: State) {
    const { protocol } = packing;
    this.#packing = packing;
    this.#all = modelsOf(bridge);
    this.state = { ...state };
    this.comm = protocol === null
      ? bridge.openComm("jupyter.widget", state)
      : bridge.openComm("jupyter.widget", { state, buffer_paths: [] }, { metadata: { version: protocol } });
    this.#all.set(this.comm.id, this);
    this.comm.onMessage = ({ data }) => this.#take(data);
    this.comm.onClose = () => void this.#all.delete(this.comm.id);
  }

  /** Sets a part of the state, here and in all pages. */
  update(state: State): void {
    Object.assign(this.state, state);
    this.comm.send({
      method: "update",
      state,
      ...(this.#packing.protocol === null ? { buffers: [] } : { buffer_paths: [] }),
    });
  }

  /** Takes it away. */
  close(): void {
    this.#all.delete(this.comm.id);
    this.comm.close();
  }

  async #take(data: State): Promise<void> {
    if (data.method === "request_state") this.update(this.state);
    else await this.onMessage?.(data);
  }
}

/** The models of a bridge; at the first of them the front end's question for all is answered from then on. */
function modelsOf(bridge: KernelBridge): Map<string, WidgetModel> {
  let models = known.get(bridge);
  if (models) return models;
  known.set(bridge, models = new Map());
  const all = models;
  bridge.registerTarget(CONTROL, (comm) => {
    comm.onMessage = ({ data }) => {
      if (data.method !== "request_states") return;
      const states = Object.fromEntries([...all].map(([id, { state }]) => [id, {
        model_name: state._model_name,
        model_module: state._model_module,
        model_module_version: state._model_module_version,
        state,
      }]));
      comm.send({ method: "update_states", states, buffer_paths: [] });
    };
  });
  return models;
}
