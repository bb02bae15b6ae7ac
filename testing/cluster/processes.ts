// Processes of tests, which are killed by their handles and by nothing else.

const ROOT = new URL("../../", import.meta.url);

/** A process whose lines are read. */
export class LineProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly lines: string[] = [];
  readonly #reading: Promise<void>;
  #wake = () => {};

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#reading = this.#read();
  }

  /** Starts a program of the repository, in Deno. */
  static start(path: string, args: readonly string[]): LineProcess {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--no-check", "--quiet", new URL(path, ROOT).href, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    return new LineProcess(command.spawn());
  }

  /** Waits until it has written so many lines; throws when it ends before. */
  async atLeast(count: number, ms = 60_000): Promise<void> {
    let isOver = false;
    const timer = setTimeout(() => {
      isOver = true;
      this.#wake();
    }, ms);
    const end = this.#reading.then(() => isOver = true);
    try {
      while (this.lines.length < count) {
        if (isOver) throw new Error(`process has written ${this.lines.length} lines, expected ${count}`);
        await Promise.race([end, new Promise<void>((resolve) => this.#wake = resolve)]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a signal. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Kills it at once, and waits until it is gone; its lines are complete then. */
  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#end();
  }

  async #end(): Promise<void> {
    try {
      await this.#child.stdin.close();
    } catch {
      // The other side is gone.
    }
    await this.#child.status;
    await this.#reading;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.lines.push(...lines);
      this.#wake();
    }
  }
}
