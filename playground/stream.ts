/**
 * A stream of edits: the current carries buoys, some at each step, all in turn.
 */

import type { Lab } from "./lab.ts";
import { drifted } from "./sea.ts";

/** How far a step carries a buoy, in miles. */
const STEP_MILES = 0.04;
/** In a sea of more buoys an address does not tell where the current has carried them. */
const MOST_TOLD = 256;

/** Whose turn it is. */
export class Stream {
  isRunning = false;
  /** Whether it runs for a visitor who has done nothing yet; an address does not tell of that. */
  isShow = false;
  /** Buoys a step. */
  rate = 2;
  #next = 0;

  /** One step of the current. */
  step(lab: Lab): void {
    const { slotCount, keyCount } = lab;
    const isTold = !this.isShow && slotCount <= MOST_TOLD;
    let left = Math.min(this.rate, keyCount);
    for (let tried = 0; left > 0 && tried < slotCount; tried++) {
      this.#next = (this.#next + 1) % slotCount;
      const buoy = lab.buoyOf(this.#next);
      if (!buoy) continue;
      lab.set(this.#next, { ...drifted(buoy, STEP_MILES), temperature: buoy.temperature }, isTold);
      left--;
    }
  }
}
