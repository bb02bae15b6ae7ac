/**
 * A kernel for front ends in front of the stock kernel. It speaks the Jupyter protocol on the ports of a connection file;
 * the stock kernel evaluates cells on ports of its own.
 *
 * Invariant: all ports are on loopback, and only what is signed by the key is heard. When the proxy ends, so does the
 * kernel behind it, and the other way round.
 */

import { pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { parseCell } from "../cell/parser.ts";
import { KernelError } from "../errors.ts";
import type { Acceptor } from "../front/acceptor.ts";
import { startHeart } from "../front/heart.ts";
import { Publisher } from "../front/publisher.ts";
import { type Asker, RouterSocket } from "../front/router_socket.ts";
import { MessageCodec } from "../protocol/codec.ts";
import type { Connection } from "../protocol/connection.ts";
import type { Origin } from "../prelude/outputs.ts";
import { createMessage, type JsonObject, type Message } from "../protocol/message.ts";
import { CellQueue, type QueuedCell } from "./cell_queue.ts";
import { ChildKernel, type ChildOptions, type KernelOutput } from "./child.ts";
import { COMM_TYPES, CommRelay } from "./comm_relay.ts";
import { KERNEL_MARK } from "../descendants.ts";
import { Language } from "../language/language.ts";
import { Configuration } from "./configuration.ts";
import { History } from "./history.ts";
import { Inspection } from "./inspection.ts";
import { News } from "./news.ts";
import { Questions } from "./questions.ts";
import { stopKernel } from "./stop.ts";

/** The kernel behind the proxy. */
export type ProxyOptions =
  & Omit<ChildOptions, "onOutput" | "onWritten" | "onFailure" | "onCheckTypes" | "onHandled" | "mark">
  & {
    /** Where the cells are kept from one start to the next; nowhere unless given. */
    readonly historyFile?: string;
    /** Whether the folder's configuration has imports of its own. */
    readonly hasOwnMap?: boolean;
  };

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;
const GRACE_MS = 1000, LAST_WORDS_MS = 500;
/** A cell waits so long for the messages to comms that came before it. */
const COMMS_MS = 2000;

/** The answer to `kernel_info_request` where the kernel behind did not start. */
const WITHOUT: JsonObject = {
  status: "ok",
  protocol_version: "5.3",
  implementation: "attune",
  implementation_version: Deno.version.deno,
  language_info: { name: "typescript", version: Deno.version.typescript, file_extension: ".ts" },
  help_links: [],
};

/** A running kernel. */
export class KernelProxy implements AsyncDisposable {
  /** Resolves to the exit code when a front end has ended it, or the kernel behind it has died. */
  readonly ended: Promise<number>;
  readonly #session = crypto.randomUUID();
  readonly #packages: Readonly<Record<string, string>>;
  readonly #language: Language;
  readonly #mark: string;
  readonly #shell: RouterSocket;
  readonly #control: RouterSocket;
  readonly #stdin: RouterSocket;
  readonly #publisher: Publisher;
  readonly #heart: Acceptor;
  readonly #news: News;
  readonly #comms: CommRelay;
  #history!: History;
  #questions!: Questions;
  readonly #resources = new DisposableStack();
  readonly #ready = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<number>();
  #child!: ChildKernel;
  #cells!: CellQueue;
  #inspection!: Inspection;
  #stopping: Promise<void> | null = null;
  #isEnding = false;
  #presses = 0;
  #checksTypes = false;
  #configuration!: Configuration;
  /** Why there is no kernel behind; null where there is one. */
  #reason: string | null = null;
  #refused = 0;

  private constructor(connection: Connection, options: ProxyOptions) {
    const { ip, ports, key } = connection;
    this.ended = this.#end.promise;
    this.#packages = options.packages;
    this.#mark = options.early?.mark ?? crypto.randomUUID();
    this.#language = new Language({
      root: folderAddress(options.cwd),
      env: { [KERNEL_MARK]: this.#mark },
      ...(Object.keys(options.packages).length > 0 && options.hasOwnMap !== true
        ? {
          importMap: `data:application/json,${
            encodeURIComponent(JSON.stringify({ imports: options.packages }))
          }`,
        }
        : {}),
    });
    const codec = new MessageCodec(key, true), stack = this.#resources;
    // Front ends connect while the kernel behind is still starting; what they ask waits.
    this.#shell = stack.use(
      new RouterSocket(ip, ports.shell, codec, (...asked) => this.#take("shell", ...asked)),
    );
    this.#control = stack.use(
      new RouterSocket(ip, ports.control, codec, (...asked) => this.#take("control", ...asked)),
    );
    this.#stdin = stack.use(
      new RouterSocket(ip, ports.stdin, codec, (message) => this.#questions?.takeReply(message)),
    );
    this.#publisher = stack.use(new Publisher(ip, ports.iopub, codec));
    this.#heart = stack.use(startHeart(ip, ports.hb));
    this.#news = new News(this.#publisher, this.#session);
    this.#comms = new CommRelay(this.#news);
  }

  /**
   * Starts a kernel for a connection. Throws a `KernelError` when that is not on loopback . Where the
   * kernel behind does not start, every cell is told why.
   */
  static async start(connection: Connection, options: ProxyOptions): Promise<KernelProxy> {
    if (!LOOPBACK.test(connection.ip)) {
      throw new KernelError("KernelProxy.start", `the address is ${connection.ip}, expected one of loopback`);
    }
    const proxy = new KernelProxy(connection, options);
    try {
      await proxy.#begin(options);
    } catch (error) {
      if (!(error instanceof KernelError)) {
        proxy.#resources.dispose();
        throw error;
      }
      // The user has to be told the reason, and front ends show nothing of a kernel that ends.
      proxy.#reason = stripVTControlCharacters(error.message);
      proxy.#ready.resolve();
    }
    return proxy;
  }

  /** The number of the process behind. */
  get childPid(): number {
    return this.#child.pid;
  }

  /** Messages and connections that were dropped. */
  get rejected(): number {
    return [this.#shell, this.#control, this.#stdin, this.#publisher, this.#heart]
      .reduce((sum, { rejected }) => sum + rejected, 0);
  }

  /** Ends it, and the kernel behind it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#finish(0);
  }

  async #begin(options: ProxyOptions): Promise<void> {
    this.#child = await ChildKernel.start({
      ...options,
      mark: this.#mark,
      onOutput: (output, origin) => this.#takeOutput(output, origin),
      onFailure: (content) => this.#cells.takeFailure(content),
      onWritten: async (name, text) => {
        const request = this.#cells.running?.request ?? this.#cells.lastRequest;
        await this.#news.tell("stream", { name, text }, request);
      },
      onCheckTypes: (isOn) => this.#checksTypes = isOn,
      onHandled: (id) => this.#comms.handled(id),
    });
    this.#history = await History.open(options.historyFile ?? null);
    this.#configuration = new Configuration(options.cwd ?? Deno.cwd());
    this.#questions = new Questions(
      this.#stdin,
      this.#session,
      this.#child.stoppedAnswer,
      () => this.#presses,
    );
    this.#inspection = new Inspection(
      this.#child,
      this.#packages,
      this.#language,
      this.#configuration.folder,
    );
    this.#cells = new CellQueue(this.#child, this.#news, this.#session, {
      before: () => this.#before(),
      ask: (cell, prompt, isPassword) => this.#questions.ask(cell, prompt, isPassword),
      onDone: (cell, count) => this.#remember(cell, count),
    });
    this.#child.ended.then((words) => this.#takeDeath(words));
    this.#news.status("starting", null);
    this.#ready.resolve();
  }

  async #take(channel: "shell" | "control", message: Message, asker: Asker): Promise<void> {
    await this.#ready.promise;
    const { msg_type: type } = message.header;
    if (this.#reason !== null) return await this.#takeWithout(this.#reason, message, asker);
    if (type === "execute_request") return this.#cells.add(message, asker);
    if (COMM_TYPES.has(type)) return this.#comms.toKernel(message, this.#child);
    this.#news.status("busy", message);
    const content = await this.#answer(channel, type, message.content).catch(errorReply);
    if (content) {
      const reply = createMessage(this.#session, type.replace("_request", "_reply"), content, {
        parent: message,
      });
      await asker.send(reply);
    }
    const told = this.#news.status("idle", message);
    if (type !== "shutdown_request") return await told;
    // Front ends that still have much to read do not delay the shutdown.
    await endsWithin(told, LAST_WORDS_MS);
    await this.#finish(0);
  }

  /** Answers where no kernel has started. */
  async #takeWithout(reason: string, message: Message, asker: Asker): Promise<void> {
    const { msg_type: type } = message.header, { content } = message;
    if (!type.endsWith("_request")) return;
    const error = { ename: "KernelError", evalue: reason, traceback: reason.split("\n") };
    const advice = "mend it, and restart the kernel";
    const failure = { ...error, traceback: [...error.traceback, advice] };
    const reply = type === "kernel_info_request"
      ? { ...WITHOUT, banner: reason }
      : type === "shutdown_request"
      ? { status: "ok", restart: content.restart === true }
      : { status: "error", ...failure, execution_count: ++this.#refused };
    this.#news.status("busy", message);
    if (type === "execute_request" && content.silent !== true) this.#news.tell("error", failure, message);
    await asker.send(
      createMessage(this.#session, type.replace("_request", "_reply"), reply, { parent: message }),
    );
    await this.#news.status("idle", message);
    if (type === "shutdown_request") await this.#finish(0);
  }

  /** The content of a reply; null for what nobody knows. */
  async #answer(channel: "shell" | "control", type: string, content: JsonObject): Promise<JsonObject | null> {
    switch (type) {
      case "kernel_info_request":
        return this.#info();
      case "complete_request":
        return await this.#inspection.complete(content);
      case "inspect_request":
        return await this.#inspection.inspect(content);
      case "is_complete_request":
        return isComplete(String(content.code ?? ""));
      case "history_request":
        return { status: "ok", history: this.#history.find(content) };
      case "comm_info_request":
        return { status: "ok", comms: this.#comms.info(content.target_name) };
      case "interrupt_request":
        if (channel === "shell") return null;
        this.#stop();
        return { status: "ok" };
      case "shutdown_request":
        return { status: "ok", restart: content.restart === true };
      default:
        return type.endsWith("_request")
          ? { status: "error", ename: "NotSupported", evalue: `${type} is not supported`, traceback: [] }
          : null;
    }
  }

  #info(): JsonObject {
    return {
      ...this.#child.info,
      implementation: "attune",
      banner:
        `Deno ${this.#child.info.implementation_version} with Attune: widgets, stop, and no output lost`,
      help_links: [{ text: "Deno", url: "https://docs.deno.com" }],
      supported_features: [],
      attune: { rejected: this.rejected, child: this.childPid },
    };
  }

  /** Waits for the messages that the front end sent before a cell. */
  async #before(): Promise<void> {
    const changed = this.#configuration.changed();
    await this.#comms.settle(COMMS_MS);
    const request = this.#cells.running?.request;
    if (!request || request.content.silent === true) return;
    const warn = (text: string) => void this.#news.tell("stream", { name: "stderr", text }, request);
    if (changed !== null) warn(`${changed} has changed: restart the kernel, and cells see it\n`);
    if (!this.#checksTypes) return;
    for (
      const { line, column, code, message } of await this.#inspection.check(
        String(request.content.code ?? ""),
      )
    ) {
      warn(`${line}:${column} TS${code}: ${message}\n`);
    }
  }

  #takeOutput(
    { type, content, metadata, buffers }: KernelOutput,
    origin: Origin | null,
  ): Promise<void> | void {
    if (this.#isEnding) return;
    // The proxy sends these itself, at the right time, and errors once all is known about them.
    if (type === "status" || type === "execute_input") return;
    if (type === "error" && origin === null) return;
    if (COMM_TYPES.has(type)) this.#comms.fromKernel(type, content);
    const known = this.#cells.requestOf(origin) ?? this.#comms.messageOf(origin);
    const parent = known ?? this.#cells.running?.request ?? this.#comms.current ?? this.#cells.lastRequest;
    return this.#news.tell(type, this.#withPlaces(content), parent, { metadata, buffers });
  }

  /** Texts of errors that are shown name the places in what was written. */
  #withPlaces(content: JsonObject): JsonObject {
    const { text, data, traces, ...rest } = content;
    if (typeof text === "string") {
      return { ...rest, text: this.#cells.translate(text, Array.isArray(traces) ? traces.map(Number) : []) };
    }
    if (typeof data !== "object" || data === null || !("text/plain" in data)) return content;
    const plain = data["text/plain"];
    return typeof plain === "string" && plain.includes("attune-cell-")
      ? { ...content, data: { ...data, "text/plain": this.#cells.translate(plain) } }
      : content;
  }

  #remember({ request, parsed }: QueuedCell, count: number): void {
    this.#history.add(count, String(request.content.code ?? ""));
    if ("statements" in parsed) this.#inspection.learn(String(request.content.code ?? ""), parsed);
  }

  /** One stop at a time, which hears of those that come meanwhile: another would hit a kernel that recovers from the first. */
  #stop(): void {
    this.#presses++;
    this.#child.link.pressed(this.#presses);
    const cell = this.#cells.running;
    if (cell) {
      cell.stops++;
      cell.isDeaf = true;
    }
    this.#questions.giveUp();
    this.#stopping ??= this.#stopAll().finally(() => this.#stopping = null);
  }

  /** Stops what runs, and a cell that has begun meanwhile if the button was pressed for it too. */
  async #stopAll(): Promise<void> {
    let cell: QueuedCell | null;
    do {
      cell = this.#cells.running;
      await this.#stopNow(cell);
    } while (this.#cells.running !== cell && (this.#cells.running?.stops ?? 0) > 0);
  }

  async #stopNow(cell: QueuedCell | null): Promise<void> {
    if (!cell && !this.#comms.current) return;
    const isOver = async (milliseconds: number): Promise<boolean> => {
      if (cell) return await endsWithin(cell.evaluated, milliseconds);
      if (!this.#comms.current) return true;
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      return !this.#comms.current;
    };
    const result = await stopKernel(this.#child, {
      isOver,
      hasEnd: cell !== null,
      presses: () => this.#presses,
      onHeard: () => {
        if (cell) cell.isDeaf = false;
      },
      isLast: () => (cell?.stops ?? 0) > 1,
    });
    if (!cell) {
      await this.#child.revive(true);
      this.#comms.giveUp();
    }
    if (result !== "dead") return;
    const words = "the kernel could not be stopped and is ended; its state is lost\n";
    await this.#news.tell("stream", { name: "stderr", text: words }, cell?.request ?? null);
    await this.#child.kill();
  }

  async #takeDeath(words: string): Promise<void> {
    if (this.#isEnding) return;
    const parent = this.#cells.running?.request ?? this.#cells.lastRequest;
    const text = `${words}\n`;
    await this.#cells.running?.over;
    await this.#news.tell("stream", { name: "stderr", text }, parent);
    await this.#finish(1);
  }

  async #finish(code: number): Promise<void> {
    if (this.#isEnding) {
      await this.ended;
      return;
    }
    this.#isEnding = true;
    await this.#history?.written();
    await Promise.all([this.#child?.shutdown(GRACE_MS), this.#language[Symbol.asyncDispose]()]);
    this.#resources.dispose();
    this.#end.resolve(code);
  }
}

function folderAddress(folder: string | URL = Deno.cwd()): string {
  const { href } = folder instanceof URL ? folder : pathToFileURL(folder);
  return href.endsWith("/") ? href : `${href}/`;
}

/** A mistake in an answer is told to who asked, and ends nothing. */
function errorReply(error: unknown): JsonObject {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return { status: "error", ename: name, evalue: message, traceback: [] };
}

function isComplete(code: string): JsonObject {
  const parsed = parseCell(code);
  if ("statements" in parsed) return { status: "complete" };
  return parsed.isUnfinished ? { status: "incomplete", indent: "  " } : { status: "invalid" };
}

async function endsWithin(end: Promise<void>, milliseconds: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), milliseconds);
  try {
    return await Promise.race([end.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
