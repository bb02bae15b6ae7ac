/**
 * The cells of all front ends, one after the other.
 *
 * Invariant: a cell's outputs and its reply come before its idle, whatever the kernel does; when a cell fails, those that
 * wait behind it are given up if they ask for that.
 */

import { type CellMistake, parseCell, type ParsedCell } from "../cell/parser.ts";
import { rewriteCell } from "../cell/rewrite.ts";
import type { Origin } from "../prelude/outputs.ts";
import { KernelError } from "../errors.ts";
import type { Asker } from "../front/router_socket.ts";
import { createMessage, type JsonObject, type Message } from "../protocol/message.ts";
import type { ChildKernel } from "./child.ts";
import type { News } from "./news.ts";
import { EarlyErrors } from "./early_errors.ts";
import { Positions, quote, quoteAt } from "./positions.ts";

const DEAD = "DeadKernel";
/** How long what a front end wants to know beside a cell may take. */
const EXPRESSIONS_MS = 5000;
const PROGRAM =
  'to run a program: new TextDecoder().decode((await new Deno.Command("ls", { args: ["-l"] }).output()).stdout)';
/** What people type who come from elsewhere, and what there is here in its place. */
const HINTS: readonly (readonly [typed: RegExp, hint: string])[] = [
  [/^\s*(!|%)\s*(pip|conda|npm|deno)\b/, 'packages need no installing: import chalk from "npm:chalk"'],
  [/^\s*(!|%%?(bash|sh|script|system|sx|ls|pwd)\b)/, `lines with ! or % are commands of IPython; ${PROGRAM}`],
  [
    /^\s*%/,
    'lines with % are commands of IPython; to measure: import { timed } from "@attune/attention/jupyter"; await timed(() => work())',
  ],
  [
    /^\s*\?|\?\s*$|^\s*help\(/,
    "to read about something, press Shift and Tab behind its name",
  ],
  [/\brequire\(/, 'modules are imported: import fs from "node:fs"'],
  [/\b__(dir|file)name\b/, "the notebook's folder is import.meta.dirname"],
];
/** Late outputs of so many cells find theirs. */
const REMEMBERED = 2000;

/** A cell that waits or runs. */
export interface QueuedCell {
  readonly request: Message;
  readonly asker: Asker;
  /** Its syntax tree, or the mistake that kept it from being read. */
  readonly parsed: ParsedCell | CellMistake;
  /** Resolves when the kernel is done with it. */
  readonly evaluated: Promise<void>;
  /** Resolves when it is over, and all was told of it. */
  readonly over: Promise<void>;
  /** How often somebody wanted it stopped. */
  stops: number;
  /** Whether the kernel has not heard yet of the last stop. */
  isDeaf: boolean;
}

/** Calls around cells. */
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
  readonly #requests = new Map<number, Message>();
  readonly #positions = new Positions();
  readonly #earlyErrors = new EarlyErrors();
  #last: Message | null = null;
  #failure: JsonObject | null = null;
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

  /** The request of the cell that something belongs to; null where that is not known. */
  requestOf(origin: Origin | null): Message | null {
    return origin?.kind === "cell" ? this.#requests.get(origin.id) ?? null : null;
  }

  /** Takes what a cell throws: the first word is the cell's. */
  takeFailure(content: JsonObject): void {
    const cell = this.#running;
    if (!cell || this.#failure) return;
    const lines = (content.traceback as string[]) ?? [];
    const code = String(cell.request.content.code ?? "");
    // `!ls` is an expression, of a name that nobody has declared.
    const hint = content.ename === "ReferenceError" ? hintOf(code) : [];
    const place = content.at === null ? null : { code, at: Number(content.at), label: `cell ${cell.count}` };
    const traceback = [...this.#positions.translateTraceback(lines, place), ...hint];
    const { at: _, ...rest } = content;
    this.#failure = { ...rest, evalue: this.#positions.translate(String(content.evalue)), traceback };
    this.#tellFailure(cell, this.#failure);
  }

  #takenFailure(): JsonObject | null {
    return this.#failure;
  }

  /** A text in which places in cells are those of what was written; `traces` are the places in it of errors, from and to. */
  translate(text: string, traces: readonly number[] = []): string {
    let result = "", at = 0;
    for (let pair = 0; pair + 1 < traces.length; pair += 2) {
      const [from, to] = [traces[pair], traces[pair + 1]];
      const lines = this.#positions.translateTraceback(text.slice(from, to).split("\n"));
      result += this.#positions.translate(text.slice(at, from)) + lines.join("\n");
      at = to;
    }
    return result + this.#positions.translate(text.slice(at));
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
    this.#failure = null;
    await this.#events.before();
    this.#news.status("busy", request);
    this.#tellInput(cell);
    let reply = await this.#evaluate(cell);
    cell.evaluation.resolve();
    if (reply.ename !== DEAD && (!await this.#settle(cell, reply) || this.#child.link.isShort)) {
      await this.#child.revive(cell.stops > 0);
    }
    await this.#child.written.settle();
    const failure = this.#takenFailure();
    // Code that is terminated while it calls into the runtime catches the termination as null.
    const isStop = cell.stops > 0 && failure?.ename === "null";
    const { parsed } = cell;
    if ("statements" in parsed && (failure || reply.status === "ok")) {
      this.#earlyErrors.learn(parsed, `cell ${cell.count}`);
    }
    if (failure && !isStop) reply = { ...reply, ...failure, status: "error" };
    else if (
      reply.status === "error" || cell.stops > 0 && saysEnd(cell) && !this.#child.isDone(cell.number)
    ) {
      // The stock kernel reports success for a cell whose value or tests were stopped.
      reply = { ...reply, status: "error" };
      reply = { ...reply, ...this.#missingError(cell, reply) };
      this.#tellFailure(cell, reply);
    }
    if (typeof reply.execution_count === "number") this.#count = reply.execution_count;
    if (reply.status === "ok") reply = { ...reply, user_expressions: await this.#expressions(request) };
    await asker.send(createMessage(this.#session, "execute_reply", reply, { parent: request }));
    await this.#news.status("idle", request);
    const { silent, store_history: isStored } = request.content;
    if (typeof reply.execution_count === "number" && silent !== true && isStored !== false) {
      this.#events.onDone(cell, reply.execution_count);
    }
    return reply.status;
  }

  /** Waits until all has come that the cell has shown. */
  #settle(cell: OwnCell, reply: JsonObject): Promise<boolean> {
    return reply.status === "ok" && saysEnd(cell)
      ? this.#child.settle(cell.number, cell.count)
      : this.#child.flush();
  }

  /** The values of what the front end wants to know beside the cell. */
  async #expressions({ content }: Message): Promise<unknown> {
    const { user_expressions: expressions } = content;
    const isAsked = typeof expressions === "object" && expressions !== null &&
      Object.keys(expressions).length > 0;
    if (!isAsked) return {};
    const answer = await this.#child.link.ask({ type: "evaluate", expressions }, EXPRESSIONS_MS);
    return answer?.values ?? {};
  }

  /** The kernel's reply; when it dies a reply that says so. */
  async #evaluate(cell: OwnCell): Promise<JsonObject> {
    const { request: { content } } = cell;
    const mayAsk = content.allow_stdin === true;
    try {
      const { content: reply } = await this.#child.execute(
        {
          code: this.#codeOf(cell),
          silent: content.silent === true,
          store_history: isCounted(cell),
          stop_on_error: false,
          user_expressions: {},
        },
        mayAsk ? (prompt, isPassword) => this.#events.ask(cell, prompt, isPassword) : undefined,
      );
      return reply;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return {
        status: "error",
        execution_count: this.#count,
        ...errorParts(DEAD, this.#child.exitWords ?? error.message),
      };
    }
  }

  #codeOf(cell: OwnCell): string {
    const { request, parsed } = cell, { header } = request;
    const code = String(request.content.code ?? "");
    cell.number = ++this.#lastNumber;
    // Later messages need only the request's header.
    const slim = { ...request, identities: [], content: {}, buffers: [], header };
    this.#requests.set(cell.number, slim);
    this.#requests.delete(cell.number - REMEMBERED);
    if (!("statements" in parsed)) return code;
    const rewritten = rewriteCell(code, parsed, cell.number);
    this.#positions.add(cell.number, code, rewritten, `cell ${cell.count}`);
    return rewritten.code;
  }

  #tellInput(cell: OwnCell): void {
    const { code, silent } = cell.request.content;
    cell.count = isCounted(cell) ? this.#count + 1 : this.#count;
    if (silent === true) return;
    this.#news.tell("execute_input", { code, execution_count: cell.count }, cell.request);
  }

  #tellFailure({ request }: OwnCell, { ename, evalue, traceback }: JsonObject): void {
    this.#news.tell("error", { ename, evalue, traceback }, request);
  }

  /** The error that the stock kernel does not tell, or tells of code that nobody has written. */
  #missingError({ request, parsed, stops, count }: OwnCell, reply: JsonObject): JsonObject {
    if (reply.ename === DEAD) return {};
    if (stops > 0) return errorParts("Interrupted", "the cell was stopped; its state is kept");
    if ("text" in parsed) {
      const [, line, column] = /\((\d+):(\d+)\)$/.exec(parsed.text) ?? [];
      const code = String(request.content.code ?? "");
      const { ename, evalue, traceback } = errorParts("SyntaxError", parsed.text);
      const place = { line: Number(line), column: Number(column) + 1 };
      const quoted = line === undefined ? [] : quote(code, place);
      return { ename, evalue, traceback: [...traceback, ...quoted, ...hintOf(code)] };
    }
    const lines = Array.isArray(reply.traceback) ? reply.traceback.map(String) : [];
    if (lines.join("") === "") {
      return errorParts(
        String(reply.ename || "Error"),
        String(reply.evalue || "the cell failed, and the kernel does not say why"),
      );
    }
    const evalue = this.#positions.translate(String(reply.evalue));
    const early = reply.ename === "SyntaxError" ? this.#earlyErrors.find(parsed, evalue) : null;
    if (!early) return { evalue, traceback: this.#positions.translateTraceback(lines) };
    const { traceback } = errorParts("SyntaxError", evalue);
    const hint = early.hint === null ? [] : ["", early.hint];
    const place = { code: String(request.content.code ?? ""), at: early.at, label: `cell ${count}` };
    return { evalue, traceback: [...traceback, ...quoteAt(place), ...hint] };
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
  stops = 0;
  isDeaf = false;
  /** Its number in the kernel; 0 before it runs. */
  number = 0;
  /** Its number in the notebook. */
  count = 0;

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

/** Whether the kernel says of a cell that it is over, where it ends well. */
function saysEnd({ request, parsed }: OwnCell): boolean {
  return request.content.silent !== true && "statements" in parsed && parsed.statements.length > 0;
}

function hintOf(code: string): string[] {
  const found = HINTS.find(([typed]) => typed.test(code));
  return found ? ["", `hint: ${found[1]}`] : [];
}

/** Whether a cell gets a number. */
function isCounted({ request: { content } }: QueuedCell): boolean {
  return content.silent !== true && content.store_history !== false;
}

function errorParts(ename: string, evalue: string): { ename: string; evalue: string; traceback: string[] } {
  return { ename, evalue, traceback: [`${ename}: ${evalue}`] };
}
