/**
 * Questions of cells to the person at the front end.
 *
 * Invariant: a question that is stopped throws, and so does nothing with an answer that nobody gave.
 */

import { Interrupted } from "./waits.ts";
import { globalObject, Number, Object, Reflect, String } from "../natives.ts";

/** How questions are asked. */
export interface Prompts {
  /** A line; null where nobody can be asked. */
  readLine(): string | null;
}

type Ask = (message: string, value: string, options: { readonly password: boolean }) => unknown;

/**
 * Replaces `prompt`, `confirm` and `alert`. `stopped` begins the answer to a question that was stopped; `hear` is told the
 * number of the press of the button, which stands behind it.
 */
export function replacePrompts(
  stopped: string,
  write: (text: string) => void,
  hear: (press: number) => void,
): Prompts {
  const native = Reflect.get(globalObject, "prompt") as Ask;
  const ask = (message: string, isPassword = false): string | null => {
    const answer = native(message, "", { password: isPassword });
    if (typeof answer !== "string") return null;
    if (!answer.startsWith(stopped)) return answer;
    hear(Number(answer.slice(stopped.length)));
    throw new Interrupted();
  };
  const own = {
    prompt: (message = "Prompt", value: unknown = "", { password = false } = {}): string | null => {
      const usual = value === null ? "" : String(value);
      const answer = ask(`${message}${usual === "" ? "" : ` [${usual}]`}`, password);
      return answer === "" ? usual : answer;
    },
    confirm: (message = "Confirm"): boolean => /^y/i.test(ask(`${message} [y/N] `) ?? ""),
    alert: (message = "Alert"): void => write(`${message}\n`),
  };
  for (const [name, value] of Object.entries(own)) {
    Object.defineProperty(globalObject, name, {
      value,
      configurable: true,
      writable: true,
      enumerable: true,
    });
  }
  return { readLine: () => ask("") };
}
