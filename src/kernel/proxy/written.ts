/**
 * What the kernel's process writes to its own streams, past the console: native libraries to stdout, and errors of workers
 * that nobody has handled.
 *
 * Invariant: what the runtime and drivers note on stderr for those who run a server is shown to nobody; lines stay whole.
 */

/** Shows text. */
type Tell = (name: "stdout" | "stderr", text: string) => Promise<void>;

/** What comes is waited for so long, at most so often: it may never end. */
const QUIET_MS = 10, WAITS = 20;
/** An error is written in several lines, one soon after the other. */
const ERROR_MS = 50;
/** With the codes of their colours. */
// deno-lint-ignore no-control-regex -- The codes begin with a control character.
const ERROR = /^(\x1b\[\d+m)*(error(\x1b\[\d+m)*: (\x1b\[\d+m)*Uncaught|thread '.*panicked)/;

/** The streams of a process. */
export class Written {
  readonly #tell: Tell;
  #rest = "";
  #writtenAt = -Infinity;
  #errorAt = -Infinity;

  /** `tell` shows text, and is waited for before more is read. */
  constructor(tell: Tell) {
    this.#tell = tell;
  }

  /** Takes what was written. */
  async take(name: "stdout" | "stderr", text: string): Promise<void> {
    this.#writtenAt = performance.now();
    if (name === "stdout") return await this.#tell(name, text);
    const all = this.#rest + text, end = all.lastIndexOf("\n") + 1;
    this.#rest = all.slice(end);
    const shown = all.slice(0, end).split(/(?<=\n)/).filter((line) => this.#isOfError(line)).join("");
    if (shown !== "") await this.#tell(name, shown);
  }

  /** It comes by a way of its own; resolves when none has come for a while. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (let wait = 0; wait < WAITS && performance.now() - this.#writtenAt < QUIET_MS; wait++) {
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    }
  }

  #isOfError(line: string): boolean {
    const now = performance.now();
    if (ERROR.test(line)) this.#errorAt = now;
    return now - this.#errorAt < ERROR_MS;
  }
}
