/**
 * The cells of all front ends, one after the other.
 *
 * Invariant: a cell's outputs and its reply come before its idle, whatever the kernel does; when a cell fails, those that
 * wait behind it are given up if they ask for that.
 */

import { type CellMistake, parseCell, type ParsedCell } from "../cell/parser.ts";
import { rewriteCell } from "../cell/rewrite.ts";
import { KernelError } from "../errors.ts";
import type { Asker } from "../front/router_socket.ts";
import { createMessage, type JsonObject, type Message } from "../protocol/message.ts";
import type { ChildKernel } from "./child.ts";
import type { News } from "./news.ts";

const DEAD = "DeadKernel";

/** A cell that waits or runs. */
export interface QueuedCell {
  readonly request: Message;
  readonly asker: Asker;
  /** What it is when it could be read. */
  readonly parsed: ParsedCell | CellMistake;
  /** Resolves when the kernel is done with it. */
  readonly evaluated: Promise<void>;
  /** Resolves when it is over, and all was told of it. */
  readonly over: Promise<void>;
  /** Whether somebody wants it stopped. */
  isStopped: boolean;
}

/** What happens around cells. */
export interface CellEvents {
  /** Awaited before a cell begins: what the front end said before it comes first. */
  readonly before: () => Promise<void>;
  /** Asks the front end of a cell a question. */
  readonly ask: (cell: QueuedCell, prompt: string, isPassword: boolean) => Promise<string>;
  /** Told of a cell that has a number and is over. */
  readonly onDone: (cell: QueuedCell, count: number) => void;
}

/** Runs cells. */
export class CellQueue {
  readonly #child: ChildKernel;
  readonly #news: News;
  readonly #session: string;
  readonly #events: CellEvents;
  readonly #waiting: OwnCell[] = [];
  #running: OwnCell | null = null;
  #last: Message | null = null;
  #hasFailed = false;
  #count = 0;
  #lastNumber = 0;

  constructor(child: ChildKernel, news: News, session: string, events: CellEvents) {
    this.#child = child;
    this.#news = news;
    this.#session = session;
    this.#events = events;
  }

  /** The cell that runs. */
  get running(): QueuedCell | null {
    return this.#running;
  }

  /** The request of the cell that runs, or of the last one. */
  get lastRequest(): Message | null {
    return this.#last;
  }

  /** Puts a cell at the end. */
  add(request: Message, asker: Asker): void {
    this.#waiting.push(new OwnCell(request, asker));
    if (!this.#running) this.#runAll();
  }

  /** Takes what the kernel shows while a cell runs. */
  takeOutput(message: Message): void {
    const { msg_type: type } = message.header;
    if (type === "execute_input") this.#tellInput(message.content.execution_count);
    if (type === "error") this.#hasFailed = true;
  }

  async #runAll(): Promise<void> {
    for (let cell = this.#waiting.shift(); cell; cell = this.#waiting.shift()) {
      this.#running = cell;
      this.#last = cell.request;
      const status = await this.#run(cell);
      this.#running = null;
      cell.end.resolve();
      if (status === "error" && cell.request.content.stop_on_error !== false) this.#abortWaiting();
    }
  }

  async #run(cell: OwnCell): Promise<unknown> {
    const { request, asker } = cell;
    this.#hasFailed = false;
    await this.#events.before();
    this.#news.status("busy", request);
    let reply = await this.#evaluate(cell);
    cell.evaluation.resolve();
    if (reply.ename !== DEAD && !await this.#child.flush()) await this.#child.revive();
    if (reply.status === "error" && !this.#hasFailed) {
      reply = { ...reply, ...missingError(cell, reply) };
      const { ename, evalue, traceback } = reply;
      this.#news.tell("error", { ename, evalue, traceback }, request);
    }
    await asker.send(createMessage(this.#session, "execute_reply", reply, { parent: request }));
    await this.#news.status("idle", request);
    const { silent, store_history: isStored } = request.content;
    if (typeof reply.execution_count === "number" && silent !== true && isStored !== false) {
      this.#events.onDone(cell, reply.execution_count);
    }
    return reply.status;
  }

  /** The kernel's reply; when it dies a reply that says so. */
  async #evaluate(cell: QueuedCell): Promise<JsonObject> {
    const { request, parsed } = cell;
    const { content } = request;
    const code = String(content.code ?? "");
    const mayAsk = content.allow_stdin === true;
    try {
      const { content: reply } = await this.#child.execute(
        {
          code: "statements" in parsed ? rewriteCell(code, parsed, ++this.#lastNumber) : code,
          silent: content.silent === true,
          store_history: content.silent !== true && content.store_history !== false,
          stop_on_error: false,
          user_expressions: {},
        },
        mayAsk ? (prompt, isPassword) => this.#events.ask(cell, prompt, isPassword) : undefined,
      );
      return reply;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return { status: "error", execution_count: this.#count, ...errorParts(DEAD, error.message) };
    }
  }

  #tellInput(count: unknown): void {
    const cell = this.#running;
    if (!cell) return;
    if (typeof count === "number") this.#count = count;
    const { code, silent } = cell.request.content;
    if (silent === true) return;
    this.#news.tell("execute_input", { code, execution_count: this.#count }, cell.request);
  }

  #abortWaiting(): void {
    for (const cell of this.#waiting.splice(0)) {
      const reply = { status: "aborted" };
      this.#news.status("busy", cell.request);
      cell.asker.send(createMessage(this.#session, "execute_reply", reply, { parent: cell.request }));
      this.#news.status("idle", cell.request);
      cell.end.resolve();
    }
  }
}

class OwnCell implements QueuedCell {
  readonly request: Message;
  readonly asker: Asker;
  readonly parsed: ParsedCell | CellMistake;
  readonly evaluation: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly end: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  isStopped = false;

  constructor(request: Message, asker: Asker) {
    this.request = request;
    this.asker = asker;
    this.parsed = parseCell(String(request.content.code ?? ""));
  }

  get evaluated(): Promise<void> {
    return this.evaluation.promise;
  }

  get over(): Promise<void> {
    return this.end.promise;
  }
}

/** What the stock kernel does not say when a cell cannot be read or was stopped. */
function missingError({ parsed, isStopped }: QueuedCell, reply: JsonObject): JsonObject {
  if (reply.ename === DEAD) return {};
  if (isStopped) return errorParts("Interrupted", "the cell was stopped; its state is kept");
  if ("text" in parsed) return errorParts("SyntaxError", parsed.text);
  return errorParts("Error", "the cell failed, and the kernel does not say why");
}

function errorParts(ename: string, evalue: string): JsonObject {
  return { ename, evalue, traceback: [`${ename}: ${evalue}`] };
}
