/**
 * Keeps the address of the page at what is looked at, some time after it has changed: browsers refuse pages that write
 * their address all the time.
 */

import { toHash, type ViewState } from "./view_state.ts";

const PAUSE_MS = 300;

/** The address of the page. */
export class AddressBar {
  #state: (() => ViewState) | null = null;
  #timer = 0;

  /** Writes what `state` says by then. */
  write(state: () => ViewState): void {
    this.#state = state;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.writeNow(), PAUSE_MS);
  }

  /** Writes what is to be written at once. */
  writeNow(): void {
    if (!this.#state) return;
    const hash = toHash(this.#state());
    try {
      history.replaceState(null, "", hash === "" ? location.pathname + location.search : `#${hash}`);
    } catch {
      // A page in a sandbox has no address of its own.
    }
  }
}
