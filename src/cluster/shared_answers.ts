/**
 * Answers that are being computed, by their requests: a request that is sent again, since it seemed to be
 * lost, takes the answer of the first one.
 */

import { hashOf } from "./batch.ts";
import { toHex } from "./json_value.ts";
import { WAIT_BYTES } from "./messages.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Answers in the making. */
export class SharedAnswers {
  readonly #open = new Map<string, Promise<Bytes>>();

  /** The answer to a request: that of an equal one whose answer is not there yet, or a new one. */
  answer(request: Bytes, make: () => Promise<Bytes>): Promise<Bytes> {
    const name = nameOf(request), open = this.#open.get(name);
    if (open) return open;
    const answer = make().finally(() => this.#open.delete(name));
    this.#open.set(name, answer);
    return answer;
  }
}

/** Equal for requests that differ by the time alone that is left for them. */
function nameOf(request: Bytes): string {
  const [from, to] = WAIT_BYTES;
  return toHex(hashOf(request.subarray(0, from), request.subarray(to)));
}
