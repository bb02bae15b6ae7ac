/**
 * The part of the kernel that lives beside the cells: the proxy has it imported before the first of them. It speaks to the
 * proxy over a line of its own, which works also while a cell waits.
 *
 * Invariant: cells see nothing of it but one symbol; it begins once.
 */

import type { LinkFrame } from "../link/frames.ts";
import type { JsonObject } from "../protocol/message.ts";
import { BRIDGE, type KernelBridge, type PreludeSettings } from "./bridge.ts";
import { Cells, Interrupted } from "./cells.ts";
import { type CommNews, Comms } from "./comms.ts";
import { registerPackages } from "./imports.ts";
import { denoInternals } from "./internals.ts";
import { Introspection } from "./introspection.ts";
import { Link } from "./link.ts";
import { restrict } from "./permissions.ts";
import { replaceStdio } from "./stdio.ts";
import { laterTurn, replaceTimers } from "./timers.ts";
import { startWatchdog } from "./watchdog.ts";

type Broadcast = (type: string, content: unknown, parts?: unknown) => void;

let begun: Prelude | null = null;

/** Begins, or connects anew when the line was lost. */
export async function begin(settings: PreludeSettings): Promise<void> {
  if (begun) return await begun.connect(settings);
  begun = new Prelude(settings);
  await begun.connect(settings);
  begun.furnish(settings);
}

class Prelude {
  readonly #cells = new Cells();
  readonly #comms: Comms;
  readonly #introspection = new Introspection();
  readonly #broadcast: Broadcast;
  readonly #marker: string;
  #link: Link | null = null;

  constructor({ marker }: PreludeSettings) {
    // Taken now, so that no cell can come between.
    const { broadcast } = Reflect.get(Deno, "jupyter") as { broadcast: Broadcast };
    this.#broadcast = broadcast;
    this.#marker = marker;
    this.#comms = new Comms((type, content, parts) => broadcast(type, content, parts));
  }

  async connect({ port, token }: PreludeSettings): Promise<void> {
    const link = await Link.open(port, token);
    this.#link = link;
    // Not as a part of the cell in which it was opened.
    this.#cells.outside(() => link.listen((frame) => this.#take(frame)));
  }

  /** Prepares what cells find; what is taken from them last. */
  furnish(settings: PreludeSettings): void {
    const { port, token, packages, permissions, frontEnd } = settings;
    const cells = this.#cells, comms = this.#comms;
    const bridge: KernelBridge = {
      version: 1,
      frontEnd,
      openComm: (target, data, parts) => comms.open(target, data, parts),
      registerTarget: (target, take) => comms.registerTarget(target, take),
      enter: () => cells.enter(),
      awaiting: cells.awaiting,
      iterating: cells.iterating,
    };
    Object.defineProperty(globalThis, BRIDGE, { value: Object.freeze(bridge) });
    // ipywidgets of version 6 asks at once, before there is any widget, which one it should be.
    comms.registerTarget("jupyter.widget.version", (comm) => comm.send({ version: "~2.1.4" }));
    addEventListener("unhandledrejection", (event) => {
      // Nobody needs to hear of a stop but the cell.
      if (event.reason instanceof Interrupted) event.preventDefault();
    });
    startWatchdog({ port, token });
    replaceTimers();
    const internals = denoInternals();
    replaceStdio((text, isError) => internals.print(text, isError));
    registerPackages(packages);
    // Without a listener the signal of a stop would be the end.
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGINT", () => {});
    if (permissions) restrict(permissions);
  }

  async #take({ head, buffers }: LinkFrame): Promise<void> {
    switch (head.type) {
      case "flush":
        this.#cells.leave();
        this.#mark({ kind: "flushed", id: head.id });
        break;
      case "stop":
        this.#answer(head, { stopped: this.#cells.stop() });
        break;
      case "collect":
        this.#introspection.collectGarbage();
        this.#answer(head, {});
        break;
      case "describe":
        this.#answer(head, { description: await this.#introspection.describe(String(head.expression)) });
        break;
      case "names":
        this.#answer(head, {
          names: await this.#introspection.names(head.expression === null ? null : String(head.expression)),
        });
        break;
      case "comm":
        laterTurn(() => this.#takeComm(head, buffers));
        break;
    }
  }

  async #takeComm(head: JsonObject, buffers: LinkFrame["buffers"]): Promise<void> {
    const news = { ...head.news as object, buffers } as unknown as CommNews;
    try {
      await this.#cells.run(() => this.#comms.take(news));
    } catch (error) {
      if (!(error instanceof Interrupted)) console.error(error);
    }
    this.#mark({ kind: "handled", id: head.id });
  }

  /** A message in the row of all outputs: what came before it has come. */
  #mark(content: JsonObject): void {
    this.#broadcast(this.#marker, content);
  }

  #answer(question: JsonObject, answer: JsonObject): void {
    this.#link?.send({ ...answer, type: "answer", id: question.id });
  }
}
