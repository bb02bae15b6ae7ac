// Starts the process of a subject and asks it; a crash or a hang of a peer is a failed question and no more.

import { type Ask, type Exchange, reasonOf, type Reply, REPLY_MARK, type Role } from "./messages.ts";

const PROCESS = new URL("process.ts", import.meta.url);
const PEER_CONFIGURATION = new URL("../peers/deno.json", import.meta.url);
const HOUSE_CONFIGURATION = new URL("../../deno.json", import.meta.url);
const KEPT_ERROR_CHARACTERS = 4000;

/** A question that got no answer; the message says why. */
export class AskFailure extends Error {
  override readonly name = "AskFailure";
}

export class SubjectProcess {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #replies: AsyncGenerator<Reply>;
  #errors = "";
  #isAlive = true;

  private constructor(role: Role) {
    const configuration = role.kind === "peer" ? PEER_CONFIGURATION : HOUSE_CONFIGURATION;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--allow-all", "--no-prompt", "--v8-flags=--expose-gc"],
        ...["--config", configuration.pathname, PROCESS.pathname, JSON.stringify(role)],
      ],
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#replies = repliesOf(this.#child.stdout);
    void this.#collectErrors();
  }

  /** @throws {AskFailure} When the subject does not load. */
  static async start(role: Role, timeoutMs: number): Promise<SubjectProcess> {
    const process = new SubjectProcess(role);
    try {
      await process.#nextReply(timeoutMs);
      return process;
    } catch (thrown) {
      process.end();
      throw thrown;
    }
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** @throws {AskFailure} When the subject says that it cannot, dies, or takes longer than `timeoutMs`. */
  async ask<A extends Ask>(
    ask: A,
    question: Exchange[A]["question"],
    timeoutMs: number,
  ): Promise<Exchange[A]["answer"]> {
    try {
      await this.#input.write(new TextEncoder().encode(JSON.stringify({ ask, ...question }) + "\n"));
    } catch {
      throw new AskFailure(await this.#obituary());
    }
    return await this.#nextReply(timeoutMs) as Exchange[A]["answer"];
  }

  /** Kills the process; it has nothing to lose. */
  end(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It was gone already.
    }
  }

  async #nextReply(timeoutMs: number): Promise<unknown> {
    const { promise: timeout, resolve: giveUp } = Promise.withResolvers<null>();
    const timer = setTimeout(() => giveUp(null), timeoutMs);
    try {
      const next = await Promise.race([this.#replies.next(), timeout]);
      if (next === null) {
        this.end();
        throw new AskFailure(`no answer within ${Math.round(timeoutMs / 1000)} s`);
      }
      if (next.done) throw new AskFailure(await this.#obituary());
      if ("failure" in next.value) throw new AskFailure(next.value.failure);
      return next.value.answer;
    } finally {
      clearTimeout(timer);
    }
  }

  async #obituary(): Promise<string> {
    const { code, signal } = await this.#child.status;
    this.#isAlive = false;
    const said = this.#errors.split("\n").map((line) => line.trim()).filter((line) =>
      /error|fatal/i.test(line)
    );
    return `its process ended with ${signal ?? `code ${code}`}${said.length > 0 ? `: ${said[0]}` : ""}`;
  }

  async #collectErrors(): Promise<void> {
    try {
      for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
        this.#errors = (this.#errors + text).slice(-KEPT_ERROR_CHARACTERS);
      }
    } catch (thrown) {
      this.#errors += reasonOf(thrown);
    }
  }
}

async function* repliesOf(output: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Reply> {
  let rest = "";
  for await (const text of output.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith(REPLY_MARK)) yield JSON.parse(line.slice(REPLY_MARK.length));
    }
  }
}
