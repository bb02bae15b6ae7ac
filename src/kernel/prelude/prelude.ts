/**
 * Joins the parts inside of the kernel: what cells find, what they show, and what the proxy asks.
 *
 * Invariant: whatever a cell has shown or thrown leaves before the word that it is over.
 */

import type { LinkFrame } from "../link/frames.ts";
import type { JsonObject } from "../protocol/message.ts";
import { BRIDGE_NAME, type KernelBridge, type PreludeSettings } from "./bridge.ts";
import { Cells } from "./cells.ts";
import { type CommNews, Comms } from "./comms.ts";
import { replaceConsole } from "./console.ts";
import { failureOf, hearErrors } from "./failures.ts";
import { Flow } from "./flow.ts";
import { metaOf, missingNames, registerPackages } from "./imports.ts";
import { type DenoInternals, denoInternals } from "./internals.ts";
import { Introspection } from "./introspection.ts";
import { replaceKeyboard } from "./keyboard.ts";
import { LastValues } from "./last_values.ts";
import { Link } from "./link.ts";
import { type Broadcast, Outputs } from "./outputs.ts";
import { restrict } from "./permissions.ts";
import { replacePrograms, ShownPrograms } from "./programs.ts";
import { replacePrompts } from "./prompts.ts";
import { replaceStdio, type Write } from "./stdio.ts";
import { CellTests } from "./tests.ts";
import { Threads } from "./threads.ts";
import { forgetCall, laterTurn, replaceTasks, replaceTicks, replaceTimers } from "./timers.ts";
import { nameFrames } from "./traces.ts";
import { type Bundle, bundleOf } from "./values.ts";
import { Interrupted } from "./waits.ts";
import { startWatchdog } from "./watchdog.ts";
import {
  Array,
  Atomics,
  Deno,
  evaluate,
  globalObject,
  Int32Array,
  Number,
  Object,
  Promise,
  Reflect,
  SharedArrayBuffer,
  String,
  Symbol,
} from "../natives.ts";

/** The parts of `Deno.jupyter` that are used. */
interface StockJupyter {
  broadcast: Broadcast;
  display(value: unknown, options?: DisplayOptions): Promise<void>;
  format(value: unknown): Promise<Bundle>;
}

interface DisplayOptions {
  readonly raw?: boolean;
  readonly update?: boolean;
  readonly display_id?: string;
}

/** Where libraries find the bridge. */
const BRIDGE = Symbol.for("attune.kernel");
/** After so long without a cell the proxy is watched all the same. */
const WATCH_MS = 20;
/** How long the proxy may take to end a kernel that wants to end. */
const EXIT_MS = 5000;

/** The part inside of a kernel. */
export class Prelude {
  readonly #cells = new Cells();
  readonly #comms: Comms;
  readonly #flow = new Flow((press) => this.#cells.hears(press));
  readonly #introspection = new Introspection();
  readonly #outputs: Outputs;
  readonly #internals: DenoInternals = denoInternals();
  readonly #lastValues = new LastValues();
  readonly #programs = new ShownPrograms();
  readonly #tests = new CellTests();
  readonly #threads: Threads;
  readonly #colors = !Deno.noColor;
  #value: { readonly value: unknown; readonly isHidden: boolean } | null = null;
  /** The last cell that the stock kernel, or the proxy, has said to be over. */
  #finished = -1;
  #startWatchdog: (() => void) | null = null;

  constructor({ marker, threads }: PreludeSettings) {
    this.#threads = new Threads(threads, this.#flow.counter);
    // It is taken now, so that no cell can replace it first.
    const { broadcast } = Reflect.get(Deno, "jupyter") as StockJupyter;
    this.#outputs = new Outputs(
      broadcast,
      marker,
      () => this.#cells.origin,
      laterTurn,
      (letters) => this.#flow.sent(letters),
    );
    this.#comms = new Comms((type, content, parts) => this.#outputs.show(type, content, parts));
  }

  /** Connects to the proxy. */
  async connect({ port, tokens }: PreludeSettings): Promise<void> {
    const links = await Promise.all(tokens.map((token) => Link.open(port, token)));
    // Messages are not handled as a part of the cell in which the lines were opened.
    this.#cells.outside(() => {
      for (const link of links) link.listen((frame) => this.#take(link, frame));
    });
  }

  /** Prepares what cells find; what is taken from them last. */
  furnish(settings: PreludeSettings): void {
    const {
      port,
      watchToken,
      mark,
      connectionFile,
      packages,
      permissions,
      frontEnd,
      stoppedAnswer,
      threads,
    } = settings;
    const bridge = Object.freeze(this.#bridge(frontEnd));
    for (const key of [BRIDGE, BRIDGE_NAME]) Object.defineProperty(globalObject, key, { value: bridge });
    // ipywidgets of version 6 asks at once, before there is any widget, which one it should be.
    this.#comms.registerTarget("jupyter.widget.version", (comm) => comm.send({ version: "~2.1.4" }));
    this.#hearErrors();
    const watch = { port, token: watchToken, mark, connectionFile, counter: this.#flow.counter, threads };
    this.#startWatchdog = () => startWatchdog(watch);
    // Starting a worker takes a while, and the first cell would have to wait for it.
    laterTurn(() => this.#watch(), WATCH_MS);
    replaceTimers();
    replaceTasks();
    replaceTicks();
    this.#replaceOutputs();
    const originNow = () => this.#cells.origin;
    const write: Write = (name, text, origin = originNow()) => this.#outputs.write(name, text, origin);
    const { readLine } = replacePrompts(
      stoppedAnswer,
      (text) => write("stdout", text),
      (press) => this.#cells.hear(press),
    );
    replaceStdio(write, originNow);
    replacePrograms({ write, originNow, programs: this.#programs });
    this.#threads.install(originNow);
    replaceKeyboard(readLine, () => this.#cells.cell !== null, laterTurn);
    this.#lastValues.install();
    this.#tests.install();
    nameFrames();
    registerPackages(packages);
    // Without a listener the signal of a stop would be the end.
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGINT", () => {});
    if (permissions) restrict(permissions);
  }

  #bridge(frontEnd: PreludeSettings["frontEnd"]): KernelBridge {
    const cells = this.#cells, comms = this.#comms;
    let kept: unknown;
    const failed = (thrown: unknown, at: number) => this.#tellFailure(thrown, at);
    const guardAsync = async <T>(compute: () => Promise<T>, at: number): Promise<T> => {
      try {
        return await compute();
      } catch (error) {
        throw failed(error, at);
      }
    };
    return {
      version: 1,
      frontEnd,
      openComm: (target, data, parts) => comms.open(target, data, parts),
      registerTarget: (target, take) => comms.registerTarget(target, take),
      enter: (id) => {
        this.#value = null;
        this.#watch();
        forgetCall();
        this.#outputs.begin();
        cells.enter(id);
      },
      awaiting: cells.awaiting,
      begin: cells.begin,
      end: cells.end,
      rest: cells.rest,
      out: cells.out,
      looping: cells.looping,
      iterating: cells.iterating,
      value: (value) => void (this.#value = { value, isHidden: false }),
      keep: (value) => void (kept = value),
      kept: () => {
        const value = kept;
        kept = undefined;
        return value;
      },
      hidden: (value) => void (this.#value = { value, isHidden: true }),
      failed,
      guard: (compute, at) => {
        try {
          return compute();
        } catch (error) {
          throw failed(error, at);
        }
      },
      guardAsync,
      importing: (load, specifier, names, at) =>
        guardAsync(async () => {
          const module = await cells.awaiting(load(), 1);
          const missing = missingNames(module, specifier, names);
          if (missing !== null) this.#outputs.write("stderr", missing);
          return module;
        }, at),
      checkTypes: (isOn) => this.#outputs.mark({ kind: "checkTypes", isOn }),
      meta: metaOf(),
    };
  }

  /** Once: from before the first cell on, however long that computes. */
  #watch(): void {
    this.#startWatchdog?.();
    this.#startWatchdog = null;
  }

  /** All that cells can show by goes into one row. */
  #replaceOutputs(): void {
    const outputs = this.#outputs, { jupyter } = this.#internals;
    replaceConsole({
      write: (name, text) => outputs.write(name, text),
      clear: () => outputs.show("clear_output", { wait: false }),
    });
    const broadcast: Broadcast = (type, content, parts) => outputs.show(type, content, parts);
    const display = async (
      value: unknown,
      { raw = false, update = false, display_id: id }: DisplayOptions = {},
    ) => {
      const isBundle = raw && typeof value === "object" && value !== null && !Array.isArray(value);
      const data = isBundle ? value : await this.#format(value, throwAgain);
      const transient = id === undefined ? {} : { display_id: id };
      broadcast(update ? "update_display_data" : "display_data", { data, metadata: {}, transient });
    };
    const format = (value: unknown) => this.#format(value, throwAgain);
    Object.assign(Reflect.get(Deno, "jupyter") as StockJupyter, { broadcast, display, format });
    jupyter.broadcastResult = (count, value) => this.#finish(count, value);
    const exit = Deno.exit;
    Deno.exit = (code = 0) => {
      outputs.mark({ kind: "exit", code });
      // The proxy ends this process when it has all that was shown.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, EXIT_MS);
      return exit(code);
    };
  }

  /** Tells errors that nobody catches below their cell; the kernel goes on. */
  #hearErrors(): void {
    hearErrors((thrown) => {
      // Nobody needs to hear of a stop but the cell.
      if (!(thrown instanceof Interrupted)) this.#tellUncaught(thrown);
    });
  }

  #tellUncaught(thrown: unknown): void {
    const { traceback } = failureOf(thrown, this.#colors);
    const text = (traceback as string[]).join("\n");
    this.#outputs.writeTrace(`${text.startsWith("Uncaught") ? "" : "Uncaught "}${text}\n`);
  }

  #tellFailure(thrown: unknown, at: number | null = null): unknown {
    const cells = this.#cells;
    this.#outputs.mark({
      kind: "failed",
      origin: cells.origin ?? cells.cell,
      content: { ...failureOf(thrown, this.#colors), at },
    });
    return thrown;
  }

  /** The end of a cell that did not throw: its tests run, and its last value shows. */
  async #finish(count: number, given: unknown): Promise<void> {
    const cells = this.#cells, outputs = this.#outputs, origin = cells.cell;
    this.#finished = origin?.id ?? -1;
    const { value, isHidden } = this.#value ?? { value: given, isHidden: false };
    this.#value = null;
    try {
      await cells.inCell(async () => {
        await cells.awaiting(
          this.#tests.run((text) => outputs.write("stdout", text), (error) => {
            this.#tellUncaught(error);
          }),
          true,
        );
        if (value === undefined) return;
        this.#lastValues.add(value);
        if (isHidden) return;
        const data = await cells.awaiting(
          this.#format(value, (error) => {
            if (error instanceof Interrupted) throw error;
            this.#tellUncaught(error);
          }),
          true,
        );
        outputs.show(
          "execute_result",
          { execution_count: count, data, metadata: {}, transient: {} },
          {},
          origin,
        );
      });
    } catch (error) {
      cells.inCell(() => this.#tellFailure(error));
    }
    cells.leave();
    outputs.mark({ kind: "done", id: origin?.id ?? -1, fence: this.#threads.fence() });
  }

  /** `tell` is told of what a value throws that does not let itself be shown as it wishes. */
  async #format(value: unknown, tell: (error: unknown) => void): Promise<Bundle> {
    const { jupyter, inspectArgs } = this.#internals;
    return await bundleOf(
      value,
      (other) => jupyter.formatInner(other, false),
      (other) => inspectArgs(["%o", other], { colors: this.#colors }),
      tell,
    );
  }

  async #take(link: Link, { head, buffers }: LinkFrame): Promise<void> {
    const answer = (content: JsonObject) => link.send({ ...content, type: "answer", id: head.id });
    switch (head.type) {
      case "flush":
        this.#cells.leave();
        this.#outputs.mark({ kind: "flushed", id: head.id, fence: this.#threads.fence() });
        break;
      case "finish":
        if (this.#cells.cell?.id === head.id && this.#finished !== head.id) {
          laterTurn(() => this.#finish(Number(head.count), undefined));
        }
        break;
      case "stop":
        forgetCall();
        if (this.#cells.cell) this.#programs.interrupt(this.#cells.cell);
        // All that waits throws before anything else runs, which takes long where it is a chain of calls without end.
        answer({});
        this.#cells.stop(Number(head.press));
        break;
      case "collect":
        this.#cells.letGo();
        this.#introspection.collectGarbage();
        answer({});
        break;
      case "describe":
        answer({ description: await this.#introspection.describe(String(head.expression)) });
        break;
      case "names":
        answer({
          names: await this.#introspection.names(
            head.expression === null ? null : String(head.expression),
            head.own === true,
          ),
        });
        break;
      case "evaluate":
        answer({ values: await this.#evaluate(head.expressions as Record<string, unknown>) });
        break;
      case "comm":
        laterTurn(() => this.#takeComm(head, buffers));
        break;
    }
  }

  /** Evaluates the `user_expressions` of a front end, name → expression, in the notebook's own scope. */
  async #evaluate(expressions: Record<string, unknown>): Promise<Record<string, unknown>> {
    const values: Record<string, unknown> = {};
    for (const [name, expression] of Object.entries(expressions)) {
      try {
        const value: unknown = await evaluate(`(${expression})`);
        values[name] = { status: "ok", data: await this.#format(value, throwAgain), metadata: {} };
      } catch (error) {
        values[name] = { status: "error", ...failureOf(error, false) };
      }
    }
    return values;
  }

  async #takeComm(head: JsonObject, buffers: LinkFrame["buffers"]): Promise<void> {
    const news = { ...head.news as object, buffers } as unknown as CommNews;
    try {
      await this.#cells.run(Number(head.id), async () => {
        try {
          await this.#cells.awaiting(this.#comms.take(news), true);
        } catch (error) {
          if (!(error instanceof Interrupted)) this.#tellUncaught(error);
        }
      });
    } finally {
      this.#outputs.mark({ kind: "handled", id: head.id });
    }
  }
}

function throwAgain(error: unknown): never {
  throw error;
}
