/**
 * The one loop that keeps a page current.
 *
 * Invariant: changes are done in the order in which they were asked for, one at a time, and one look follows them; of the looks
 * that wait only the last is taken. A change that fails is told, and keeps nothing else from being done.
 */

/** Something that is done. */
export type Change = () => void | Promise<void>;

/** What the loop calls. */
export interface ChangeLoopEvents {
  /** Shows what there is. A failure ends the round, and is that of the call which began it. */
  readonly look: () => Promise<void>;
  /** Hears of a change that failed, after the look that followed it. */
  readonly fail: (error: unknown) => void;
  /** Waits between two looks; not at all unless given. */
  readonly pause?: () => Promise<void>;
}

/** The loop of a page. */
export class ChangeLoop {
  readonly #events: ChangeLoopEvents;
  /** Changes that wait, by what they change. */
  readonly #waiting = new Map<string, Change>();
  #wantsLook = false;
  #round: Promise<void> | null = null;

  constructor(events: ChangeLoopEvents) {
    this.#events = events;
  }

  /** Whether a change has not begun. */
  get hasWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Whether another look will follow the one that is taken. */
  get wantsLook(): boolean {
    return this.#wantsLook;
  }

  /** Does a change, and looks. One that has not begun is overtaken by a later one of the same thing. */
  ask(what?: string, change?: Change): Promise<void> {
    if (what !== undefined && change) {
      this.#waiting.delete(what);
      this.#waiting.set(what, change);
    }
    this.#wantsLook = true;
    // This waits a turn: a look may ask for the next one, and by then there must be a round.
    this.#round ??= Promise.resolve().then(() => this.#run()).finally(() => this.#round = null);
    return this.#round;
  }

  async #run(): Promise<void> {
    while (this.#wantsLook) {
      this.#wantsLook = false;
      const failures: unknown[] = [];
      for (const [what, change] of this.#waiting) {
        this.#waiting.delete(what);
        try {
          await change();
        } catch (error) {
          failures.push(error);
        }
      }
      await this.#events.look();
      failures.forEach(this.#events.fail);
      if (this.#wantsLook) await this.#events.pause?.();
    }
  }
}
