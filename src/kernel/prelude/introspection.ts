/**
 * Looks at values of the notebook by way of V8's inspector.
 *
 * Invariant: nothing that is asked for has an effect: no getter runs, and an expression that would do something is not
 * evaluated.
 */

import { Session } from "node:inspector";
import { JSON, Promise, Set, String } from "../natives.ts";

/** The description of a value. */
export interface Description {
  /** As `typeof`, with "null". */
  readonly type: string;
  /** The name of its class; null for what is no object. */
  readonly className: string | null;
  /** The source of a function, or a word about anything else. */
  readonly text: string;
  /** Its own properties, shortened: name → value. */
  readonly properties: readonly (readonly [name: string, value: string])[];
}

interface RemoteObject {
  readonly type: string;
  readonly subtype?: string;
  readonly className?: string;
  readonly description?: string;
  readonly value?: unknown;
  readonly objectId?: string;
}

interface Property {
  readonly name: string;
  readonly value?: RemoteObject;
  readonly get?: RemoteObject;
  readonly enumerable: boolean;
  readonly isOwn?: boolean;
  readonly symbol?: unknown;
}

const PROPERTIES_SHOWN = 20;
const GROUP = "attune";
/** The global object; no declaration hides it. */
const GLOBAL = "this";

/** Looks, and lets go of what it has looked at. */
export class Introspection {
  readonly #session = new Session();

  constructor() {
    this.#session.connect();
  }

  /** Describes an expression; null when it has no value, or would have an effect. */
  async describe(expression: string): Promise<Description | null> {
    try {
      const object = await this.#evaluate(expression);
      return object && await this.#description(object);
    } finally {
      this.#session.post("Runtime.releaseObjectGroup", { objectGroup: GROUP });
    }
  }

  /** The names behind the dot of an expression, or those of the notebook and of `globalThis`; only its `own` on request. */
  async names(expression: string | null, own = false): Promise<string[]> {
    try {
      const object = await this.#evaluate(expression ?? GLOBAL);
      if (!object) return [];
      const names = (await this.#properties(object, own)).filter(({ symbol }) => symbol === undefined)
        .map(({ name }) => name);
      if (expression === null) {
        const lexical = await this.#post<{ names: string[] }>("Runtime.globalLexicalScopeNames", {});
        names.push(...lexical?.names ?? []);
      }
      return [...new Set(names)];
    } finally {
      this.#session.post("Runtime.releaseObjectGroup", { objectGroup: GROUP });
    }
  }

  /** Frees what nothing holds any more. A promise that nobody can keep counts as failed then. */
  collectGarbage(): void {
    this.#session.post("HeapProfiler.collectGarbage", () => {});
  }

  async #evaluate(expression: string): Promise<RemoteObject | null> {
    const answer = await this.#post<{ result: RemoteObject; exceptionDetails?: unknown }>(
      "Runtime.evaluate",
      {
        expression: `(${expression})`,
        objectGroup: GROUP,
        silent: true,
        throwOnSideEffect: true,
        timeout: 200,
      },
    );
    if (!answer || answer.exceptionDetails) return null;
    const { result } = answer;
    if (result.objectId !== undefined || result.type === "undefined" || result.subtype === "null") {
      return result;
    }
    // Properties of a text or a number are those of an object around it.
    const boxed = await this.#post<{ result: RemoteObject; exceptionDetails?: unknown }>("Runtime.evaluate", {
      expression: `(function(){return this}).call(${expression})`,
      objectGroup: GROUP,
      silent: true,
      throwOnSideEffect: true,
    });
    return boxed && !boxed.exceptionDetails
      ? { ...result, objectId: boxed.result.objectId as string }
      : result;
  }

  async #properties(object: RemoteObject, ownProperties: boolean): Promise<readonly Property[]> {
    if (object.objectId === undefined) return [];
    const answer = await this.#post<{ result: readonly Property[] }>("Runtime.getProperties", {
      objectId: object.objectId,
      ownProperties,
      generatePreview: false,
    });
    return answer?.result ?? [];
  }

  async #description(object: RemoteObject): Promise<Description> {
    const { type, subtype, className, description, value } = object;
    const isObject = type === "object" || type === "function";
    const properties = type === "object"
      ? (await this.#properties(object, true)).filter(({ enumerable }) => enumerable).slice(
        0,
        PROPERTIES_SHOWN,
      )
      : [];
    return {
      type: subtype === "null" ? "null" : type,
      className: isObject ? className ?? null : null,
      text: type === "string" ? JSON.stringify(value) : description ?? String(value),
      properties: properties.map((property) => [property.name, shortly(property)] as const),
    };
  }

  #post<T>(method: string, parameters: Record<string, unknown>): Promise<T | null> {
    const { promise, resolve } = Promise.withResolvers<T | null>();
    const take = (error: Error | null, result: unknown) => resolve(error ? null : result as T);
    // The types declare each method separately; the few used here have their answers checked.
    (this.#session.post as (method: string, parameters: unknown, take: unknown) => void).call(
      this.#session,
      method,
      parameters,
      take,
    );
    return promise;
  }
}

function shortly({ value, get }: Property): string {
  if (get && get.type !== "undefined") return "[getter]";
  if (!value) return "";
  if (value.type === "string") return JSON.stringify(value.value).slice(0, 80);
  if (value.type === "function") return "[function]";
  return (value.description ?? String(value.value)).split("\n")[0].slice(0, 80);
}
