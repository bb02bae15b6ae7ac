/**
 * The interface that code in the kernel finds at `globalThis[Symbol.for("attune.kernel")]` and under a global name, and the
 * settings that the proxy hands over at the start.
 */

import type { JsonObject } from "../protocol/message.ts";

/**
 * Where the code of cells finds it: a name alone, since a notebook may have a `Symbol` or a `globalThis` of its own. A cell
 * that declares this name is refused by the runtime, because the property cannot be configured.
 */
export const BRIDGE_NAME = "__attune_kernel__";

/** Bytes that come along with a message. */
export type Buffers = readonly Uint8Array[];

/** The parts of a message beside its data. */
export interface CommParts {
  /** The metadata of the message; none unless given. */
  readonly metadata?: JsonObject;
  /** Bytes as they are; none unless given. */
  readonly buffers?: readonly Uint8Array[];
}

/** A message of a comm. */
export interface CommMessage {
  /** The content. */
  readonly data: JsonObject;
  /** The metadata of the message. */
  readonly metadata: JsonObject;
  /** The bytes that came along. */
  readonly buffers: readonly Uint8Array<ArrayBuffer>[];
}

/** A line between an object here and one in the front end. */
export interface Comm {
  /** The name that both ends give it. */
  readonly id: string;
  /** The kind of object that it belongs to. */
  readonly target: string;
  /** Whether an end has closed it. */
  readonly isClosed: boolean;
  /** Told of every message, one after the other; what it gives is waited for before the front end is told that it is done. */
  onMessage: ((message: CommMessage) => unknown) | null;
  /** Told when the front end closes it. */
  onClose: ((message: CommMessage) => unknown) | null;
  /** Sends a message. */
  send(data: JsonObject, parts?: CommParts): void;
  /** Ends it. */
  close(data?: JsonObject, parts?: CommParts): void;
}

/** Told of a comm that the front end has opened. */
export type CommTarget = (comm: Comm, message: CommMessage) => unknown;

/** The front ends whose widgets the kernel speaks to. */
export interface FrontEnd {
  /** The major version of ipywidgets' front end that is installed; null where none was found. */
  readonly ipywidgets: number | null;
  /** Whether anywidget's front end is installed. */
  readonly anywidget: boolean;
}

/** The parts of a loop that its rewritten awaits call. */
export interface LoopAwaits {
  /** Gives the value that an await of the loop waits for. */
  begin(value: unknown): unknown;
  /** Takes what an await has given. */
  end<T>(value: T): T;
  /** Takes what the loop goes over. */
  over<T>(items: T): T;
  /** The loop has come to its end. */
  finish(): void;
}

/** The kernel from the inside. */
export interface KernelBridge {
  /** The version of this interface. */
  readonly version: 1;
  readonly frontEnd: FrontEnd;
  /** Opens a comm. */
  openComm(target: string, data: JsonObject, parts?: CommParts): Comm;
  /** Says who takes comms of a kind that front ends open. */
  registerTarget(target: string, take: CommTarget): void;
  /** Begins a cell; the code of every cell calls it first. */
  enter(cell: number): void;
  /** Gives the value that `await` in a cell waits for; `isTop` is set where the await is the cell's own. */
  readonly awaiting: <T>(value: T, isTop?: unknown) => T | Promise<Awaited<T>>;
  /** Gives what an await that may run many times awaits first; `place`, below 256, is a number for where it is. */
  readonly begin: (value: unknown, place: number, isTop?: unknown) => unknown;
  /** Takes what such an await has given; falsy where it has to wait for the rest. */
  readonly end: (value: unknown) => unknown;
  /** Gives what such an await waits for then. */
  readonly rest: () => unknown;
  /** Gives the value of such an await in the end. */
  readonly out: (value: unknown) => unknown;
  /** Runs a loop whose awaits call what it is given. */
  readonly looping: (run: (loop: LoopAwaits) => Promise<void>, isTop?: unknown) => Promise<void>;
  /** Gives the items that `for await` in a cell goes over. */
  readonly iterating: <T>(
    items: AsyncIterable<T> | Iterable<T | PromiseLike<T>>,
    isTop?: unknown,
  ) => AsyncIterable<T> | Iterable<T | PromiseLike<T>>;
  /** Takes the last value of a cell. */
  value(value: unknown): void;
  /** Takes the last value of a cell that does not want to show it. */
  hidden(value: unknown): void;
  /** Keeps the value of a declaration until its name is there. */
  keep(value: unknown): void;
  /** Gives it back. */
  kept(): unknown;
  /** Tells of what a cell throws, and where the statement begins that threw it; gives it back. */
  failed(thrown: unknown, at: number): unknown;
  /** Returns the value of `compute`, and tells of an error that it throws. */
  guard<T>(compute: () => T, at: number): T;
  /** Does the same for a function that waits. */
  guardAsync<T>(compute: () => Promise<T>, at: number): Promise<T>;
  /** Imports a module of which a cell wants these names. */
  importing(
    load: () => Promise<object>,
    specifier: string,
    names: readonly string[],
    at: number,
  ): Promise<object>;
  /** Whether mistakes in the types of cells are told, as warnings. */
  checkTypes(isOn: boolean): void;
  /** The `import.meta` of cells. */
  readonly meta: Readonly<Record<string, unknown>>;
}

/** A list of what is allowed, all of a kind, or nothing of it. */
export type Allowance = readonly string[] | boolean;

/** The permissions of cells; a kind that is not named is denied. */
export interface Permissions {
  readonly env?: Allowance;
  readonly ffi?: Allowance;
  readonly import?: Allowance;
  readonly net?: Allowance;
  readonly read?: Allowance;
  readonly run?: Allowance;
  readonly sys?: Allowance;
  readonly write?: Allowance;
}

/** The kinds of permissions of Deno. */
export const PERMISSIONS = "env ffi import net read run sys write".split(" ") as (keyof Permissions)[];

/** The settings that the proxy hands over at the start. */
export interface PreludeSettings {
  /** Where the proxy listens. */
  readonly port: number;
  /** The tokens of the kernel's lines, each of which is accepted once. */
  readonly tokens: readonly string[];
  /** The token of the worker that watches the proxy, which is accepted once. */
  readonly watchToken: string;
  /** The channel on which workers say what they print. */
  readonly threads: string;
  /** The mark in the environment of all processes that cells start. */
  readonly mark: string;
  /** The file by which the kernel was told where to listen. */
  readonly connectionFile: string;
  /** The type of the messages on iopub that are for the proxy alone. */
  readonly marker: string;
  /** The answer to a question that was stopped. */
  readonly stoppedAnswer: string;
  /** Packages that are found although no import map names them: specifier → address. */
  readonly packages: Readonly<Record<string, string>>;
  /** Null where all is allowed. */
  readonly permissions: Permissions | null;
  readonly frontEnd: FrontEnd;
}
