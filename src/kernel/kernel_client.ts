/**
 * A front end without a face: speaks to a running kernel, whoever started it.
 *
 * Invariant: every request is settled, by its reply, or with an error once the connection is gone.
 */

import { KernelError } from "./errors.ts";
import { type ExecuteOptions, type Execution, FENCE, OpenRequest } from "./execution.ts";
import { Channel, openPeer } from "./protocol/channel.ts";
import { MessageCodec } from "./protocol/codec.ts";
import type { ChannelName, Connection } from "./protocol/connection.ts";
import { createMessage, type JsonObject, type Message, type MessageParts } from "./protocol/message.ts";
import type { Frames, Peer } from "./zmtp/peer.ts";

/** How to connect. */
export interface ConnectOptions {
  /** How long the kernel may take to listen and to answer; 30 s unless given. */
  readonly timeoutMs?: number;
  /** Gives the waiting up. */
  readonly signal?: AbortSignal;
  /** Told of every message on iopub, whoever asked for it. */
  readonly onMessage?: (message: Message) => void;
}

/** The sockets that carry messages; the heart only echoes. */
type MessageChannel = Exclude<ChannelName, "hb">;

/** Between questions whether the kernel is there, until it is. */
const GREETING_MS = 40;
const SETTLE_MS = 20;
/** Kernels that may send outputs after their idle, and what makes them send a fence by the way that outputs take. */
const FENCES: Readonly<Record<string, string>> = {
  "Deno kernel": `Deno.jupyter.broadcast(${JSON.stringify(FENCE)}, {})`,
};
/** A fence that does not come in this time does not come at all. */
const FENCE_MS = 2000;

/** A connection to a kernel. */
export class KernelClient implements AsyncDisposable {
  /** The kernel's own description: `implementation`, `language_info`, … */
  get info(): JsonObject {
    return this.#info;
  }
  readonly #session = crypto.randomUUID();
  readonly #open = new Map<string, OpenRequest>();
  readonly #onMessage: ((message: Message) => void) | undefined;
  readonly #channels: Readonly<Record<MessageChannel, Channel>>;
  readonly #heart: Peer;
  readonly #beats: AsyncGenerator<Frames, void>;
  readonly #listening: Promise<unknown>;
  #info: JsonObject = {};
  #failure: Error | null = null;

  private constructor(
    connection: Connection,
    peers: Readonly<Record<string, Peer>>,
    options: ConnectOptions,
  ) {
    const codec = new MessageCodec(connection.key);
    const { shell, control, stdin, iopub, hb } = peers;
    this.#channels = {
      shell: new Channel(shell, codec),
      control: new Channel(control, codec),
      stdin: new Channel(stdin, codec),
      iopub: new Channel(iopub, codec),
    };
    this.#heart = hb;
    this.#beats = hb.messages();
    this.#onMessage = options.onMessage;
    this.#listening = Promise.all([
      this.#listen("shell", (message) => this.#takeReply(message)),
      this.#listen("control", (message) => this.#takeReply(message)),
      this.#listen("stdin", (message) => this.#takeQuestion(message)),
      this.#listen("iopub", (message) => this.#takeNews(message)),
    ]);
  }

  /** Connects, and waits until the kernel answers and is heard. Throws a `KernelError` when that takes too long. */
  static async connect(connection: Connection, options: ConnectOptions = {}): Promise<KernelClient> {
    const { timeoutMs = 30_000 } = options;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeoutMs);
    try {
      const signals = options.signal ? [late.signal, options.signal] : [late.signal];
      return await KernelClient.#openAll(connection, options, AbortSignal.any(signals));
    } finally {
      clearTimeout(timer);
    }
  }

  static async #openAll(
    connection: Connection,
    options: ConnectOptions,
    signal: AbortSignal,
  ): Promise<KernelClient> {
    const identity = new TextEncoder().encode(crypto.randomUUID());
    const names = ["shell", "iopub", "stdin", "control", "hb"] as const;
    const opened = await Promise.allSettled(
      names.map((name) => openPeer(connection, name, identity, signal)),
    );
    const failed = opened.find(({ status }) => status === "rejected");
    if (failed) {
      for (const result of opened) if (result.status === "fulfilled") result.value.close();
      throw (failed as PromiseRejectedResult).reason;
    }
    const peers = opened.map((result) => (result as PromiseFulfilledResult<Peer>).value);
    const client = new KernelClient(
      connection,
      Object.fromEntries(names.map((name, at) => [name, peers[at]])),
      options,
    );
    try {
      await client.#greet(signal);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Messages that were dropped, since they were no messages or not signed by the key. */
  get rejected(): number {
    return Object.values(this.#channels).reduce((sum, { rejected }) => sum + rejected, 0);
  }

  /** Sends a request and waits for its reply; of the options `onOutput` and `onInput` count. */
  async request(
    type: string,
    content: JsonObject = {},
    channel: "shell" | "control" = "shell",
    parts: MessageParts = {},
    options: ExecuteOptions = {},
  ): Promise<Message> {
    const message = createMessage(this.#session, type, content, parts);
    return await this.#send(channel, message, new OpenRequest(options));
  }

  /** Sends a message that has no reply, as those of comms. */
  async tell(type: string, content: JsonObject, parts: MessageParts = {}): Promise<string> {
    if (this.#failure) throw this.#failure;
    const message = createMessage(this.#session, type, content, parts);
    await this.#channels.shell.send(message);
    return message.header.msg_id;
  }

  /** Runs code to its end: the reply, the idle, and what may come after it. An error of the code is no error here. */
  async execute(code: string, options: ExecuteOptions = {}): Promise<Execution> {
    const message = this.#executeRequest(code, options);
    const open = new OpenRequest(options);
    this.#open.set(message.header.msg_id, open);
    try {
      await Promise.all([this.#send("shell", message, open, true), open.idle.promise]);
      await this.#settle(open, options.settleMs ?? SETTLE_MS);
      return await open.result();
    } finally {
      this.#open.delete(message.header.msg_id);
    }
  }

  /** Whether the kernel's heart beats: it is asked for an echo, which it gives also while it is busy. */
  async ping(timeoutMs = 1000): Promise<boolean> {
    const word = new TextEncoder().encode(crypto.randomUUID());
    await this.#heart.send([new Uint8Array(), word]);
    const { promise: late, resolve } = Promise.withResolvers<false>();
    const timer = setTimeout(() => resolve(false), timeoutMs);
    try {
      const beat = this.#beats.next().then((beat) =>
        beat.done === true ? false : beat.value.at(-1)?.every((byte, at) => byte === word[at])
      );
      return await Promise.race([beat, late]) ?? false;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the connection; the kernel goes on. Whoever waits for something is told `reason`. */
  close(reason: Error = new KernelError("KernelClient.close", "the connection was closed")): void {
    this.#failure ??= reason;
    for (const channel of Object.values(this.#channels)) channel.close();
    this.#heart.close();
    for (const open of this.#open.values()) open.fail(this.#failure);
    this.#open.clear();
  }

  /** Ends the connection, and waits until nothing of it runs any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#listening;
  }

  async #send(
    channel: "shell" | "control",
    message: Message,
    open: OpenRequest,
    keep = false,
  ): Promise<Message> {
    if (this.#failure) throw this.#failure;
    const { msg_id: id } = message.header;
    this.#open.set(id, open);
    try {
      await this.#channels[channel].send(message);
      return await open.reply.promise;
    } finally {
      if (!keep) this.#open.delete(id);
    }
  }

  /** Asks until an answer has come on shell and on iopub, where what is published before one is known is lost. */
  async #greet(signal: AbortSignal): Promise<void> {
    const open = new OpenRequest();
    const ids: string[] = [];
    try {
      while (!signal.aborted) {
        const message = createMessage(this.#session, "kernel_info_request", {});
        ids.push(message.header.msg_id);
        this.#open.set(message.header.msg_id, open);
        await this.#channels.shell.send(message);
        const both = Promise.all([open.reply.promise, open.idle.promise]);
        const answer = await within(GREETING_MS, both);
        if (!answer) continue;
        this.#info = answer[0].content;
        return;
      }
    } finally {
      for (const id of ids) this.#open.delete(id);
    }
    throw new KernelError("KernelClient.connect", "the kernel listens, but does not answer");
  }

  #executeRequest(code: string, options: ExecuteOptions): Message {
    return createMessage(this.#session, "execute_request", {
      code,
      silent: options.silent ?? false,
      store_history: !options.silent,
      user_expressions: {},
      allow_stdin: options.onInput !== undefined,
      stop_on_error: true,
    });
  }

  /** Waits for outputs that come after the idle. */
  async #settle(open: OpenRequest, settleMs: number): Promise<void> {
    const fence = FENCES[String(this.#info.implementation)];
    if (fence) await this.#passFence(fence, open);
    for (;;) {
      const left = open.lastAt + settleMs - performance.now();
      if (left <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, left));
    }
  }

  /**
   * Lets the kernel send a fence, silently, and waits for it. What comes meanwhile and is no error belongs to the cell
   * before: the kernel takes what is late for an output of what runs now.
   */
  async #passFence(code: string, cell: OpenRequest): Promise<void> {
    const open = new OpenRequest({
      onOutput: (output) => {
        if (output.header.msg_type !== "error") cell.take(output);
      },
    });
    const message = this.#executeRequest(code, { silent: true });
    const { msg_id: id } = message.header;
    try {
      const { content } = await this.#send("shell", message, open, true);
      await open.idle.promise;
      if (content.status === "ok") await within(FENCE_MS, open.fence.promise);
    } finally {
      this.#open.delete(id);
    }
  }

  async #listen(name: MessageChannel, take: (message: Message) => void): Promise<void> {
    try {
      for await (const message of this.#channels[name].messages()) take(message);
      this.close(new KernelError("KernelClient", `the kernel has closed ${name}`));
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #takeReply(message: Message): void {
    this.#open.get(message.parentHeader?.msg_id ?? "")?.reply.resolve(message);
  }

  #takeNews(message: Message): void {
    this.#onMessage?.(message);
    this.#open.get(message.parentHeader?.msg_id ?? "")?.take(message);
  }

  async #takeQuestion(question: Message): Promise<void> {
    if (question.header.msg_type !== "input_request") return;
    const answer = await this.#open.get(question.parentHeader?.msg_id ?? "")?.answer(question) ?? "";
    const reply = createMessage(this.#session, "input_reply", { value: answer }, { parent: question });
    // Where the kernel is gone nobody waits for it.
    await this.#channels.stdin.send(reply).catch(() => {});
  }
}

/** The value of a promise, or null when it takes longer. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), milliseconds);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
