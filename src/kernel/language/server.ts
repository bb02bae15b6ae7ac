/**
 * Deno's own language server as a child process, by the protocol of language servers
 * (https://microsoft.github.io/language-server-protocol/): it knows types, documentation and paths, and runs nothing.
 *
 * Invariant: every question is settled, with null once the server has ended; it ends with the one who started it.
 */

import type { JsonObject } from "../protocol/message.ts";

/** Where and how it starts. */
export interface LanguageServerOptions {
  /** The folder whose configuration counts, as an address that ends in a slash. */
  readonly root: string;
  /** An import map, as an address, where the folder has none. */
  readonly importMap?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const HEAD = /Content-Length: (\d+)\r\n(?:[^\r\n]*\r\n)*?\r\n/;

/** A language server that runs. */
export class LanguageServer implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #questions = new Map<number, (answer: unknown) => void>();
  readonly #listening: Promise<void>;
  #lastId = 0;
  #hasEnded = false;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#writer = process.stdin.getWriter();
    this.#listening = this.#listen();
  }

  /** Starts it. */
  static async start({ root, importMap, env = {} }: LanguageServerOptions): Promise<LanguageServer> {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["lsp", "--quiet"],
      env: { NO_COLOR: "1", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const server = new LanguageServer(process);
    await server.ask("initialize", {
      processId: Deno.pid,
      rootUri: root,
      workspaceFolders: [{ uri: root, name: "notebook" }],
      capabilities: {
        workspace: { configuration: true },
        textDocument: { hover: { contentFormat: ["markdown"] }, completion: {} },
      },
      initializationOptions: settings(importMap),
    });
    server.tell("initialized", {});
    server.#settings = settings(importMap);
    return server;
  }

  #settings: JsonObject = {};

  /** Says something. */
  tell(method: string, params: JsonObject): void {
    this.#send({ method, params });
  }

  /** Asks something; null where there is no answer. */
  ask(method: string, params: JsonObject): Promise<unknown> {
    if (this.#hasEnded) return Promise.resolve(null);
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#questions.set(id, resolve);
    this.#send({ id, method, params });
    return promise;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#process.status;
    await this.#writer.close().catch(() => {});
    await this.#listening;
  }

  #send(message: JsonObject): void {
    const body = new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", ...message }));
    const head = new TextEncoder().encode(`Content-Length: ${body.length}\r\n\r\n`);
    const bytes = new Uint8Array(head.length + body.length);
    bytes.set(head);
    bytes.set(body, head.length);
    this.#writer.write(bytes).catch(() => {});
  }

  async #listen(): Promise<void> {
    let bytes: Uint8Array<ArrayBufferLike> = new Uint8Array();
    try {
      for await (const piece of this.#process.stdout) {
        const joined = new Uint8Array(bytes.length + piece.length);
        joined.set(bytes);
        joined.set(piece, bytes.length);
        bytes = this.#takeAll(joined);
      }
    } catch {
      // It was ended.
    }
    this.#hasEnded = true;
    for (const resolve of this.#questions.values()) resolve(null);
    this.#questions.clear();
  }

  /** Takes all whole messages; gives what is left. */
  #takeAll(bytes: Uint8Array): Uint8Array {
    for (;;) {
      // The head is short and plain.
      const head = HEAD.exec(new TextDecoder("latin1").decode(bytes.subarray(0, 200)));
      if (!head) return bytes;
      const from = head.index + head[0].length, to = from + Number(head[1]);
      if (bytes.length < to) return bytes;
      this.#take(JSON.parse(new TextDecoder().decode(bytes.subarray(from, to))) as JsonObject);
      bytes = bytes.slice(to);
    }
  }

  #take({ id, method, params, result }: JsonObject): void {
    if (typeof id !== "number") return;
    if (method === undefined) {
      this.#questions.get(id)?.(result ?? null);
      this.#questions.delete(id);
      return;
    }
    const items = (params as { items?: unknown[] } | undefined)?.items;
    // The server asks for its settings, once for each section.
    const answer = method === "workspace/configuration" && items ? items.map(() => this.#settings) : null;
    this.#send({ id, result: answer });
  }
}

function settings(importMap: string | undefined): JsonObject {
  return {
    enable: true,
    cacheOnSave: false,
    lint: false,
    // In a large folder it reads only the modules that are imported.
    documentPreloadLimit: 0,
    suggest: { completeFunctionCalls: false, imports: { autoDiscover: false } },
    ...(importMap === undefined ? {} : { importMap }),
  };
}
