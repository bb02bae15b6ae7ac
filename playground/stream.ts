/**
 * A stream of edits: the current carries buoys, some at each step. In a sea of more buoys than are drawn every second edit is of
 * one that is drawn, lest the picture stand still while the sea moves.
 *
 * Invariant: a step makes as many edits as the rate says, or as there are keys, and carries no buoy twice.
 */

import type { Lab } from "./lab.ts";
import { MOST_DRAWN } from "./scene.ts";
import { drifted } from "./sea.ts";

/** How far a step carries a buoy, in miles. */
const STEP_MILES = 0.04;
/** In a sea of more buoys an address does not tell where the current has carried them. */
const MOST_TOLD = 256;

/** Edits of a step, until a visitor says another number. */
const FIRST_RATE = 8;

/** Whose turn it is. */
export class Stream {
  isRunning = false;
  /** Whether it runs for a visitor who has done nothing yet; an address does not tell of that. */
  isShow = false;
  /** Edits of a step. */
  rate = FIRST_RATE;
  /** The last slot carried among those that are drawn, and among the others. */
  #drawn = 0;
  #other = 0;

  /** One step of the current. */
  step(lab: Lab): void {
    const { slotCount, keyCount } = lab, drawn = Math.min(MOST_DRAWN, slotCount);
    const rate = Math.min(this.rate, keyCount), others = slotCount - drawn;
    let left = Math.min(Math.ceil(rate / 2), others);
    for (let tried = 0; left > 0 && tried < others; tried++) {
      this.#other = (this.#other + 1) % others;
      if (this.#carry(lab, drawn + this.#other)) left--;
    }
    left += rate - Math.min(Math.ceil(rate / 2), others);
    for (let tried = 0; left > 0 && tried < drawn; tried++) {
      this.#drawn = (this.#drawn + 1) % drawn;
      if (this.#carry(lab, this.#drawn)) left--;
    }
  }

  /** Carries the buoy of a slot; false where there is none. */
  #carry(lab: Lab, slot: number): boolean {
    const buoy = lab.buoyOf(slot);
    if (!buoy) return false;
    const isTold = !this.isShow && lab.slotCount <= MOST_TOLD;
    lab.set(slot, { ...drifted(buoy, STEP_MILES), temperature: buoy.temperature }, isTold);
    return true;
  }
}
