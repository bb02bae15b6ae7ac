/**
 * The part of the kernel in the workers that cells start: what they print goes to the proxy by way of the watchdog, which is
 * never busy, and says which cell has started them.
 *
 * Invariant: each function here stands alone, since it runs as text in threads that have no module of the kernel: it takes what
 * it needs from `scope`, the globals of its thread, and from `parts`, the functions of this file. A worker sees the same as
 * without this part.
 */

/** Whose output it is, and where it is sent. */
export interface ThreadSettings {
  /** The channel on which the watchdog listens. */
  readonly channel: string;
  readonly origin: unknown;
  /** The address of the worker's module; null where that is not another one than without this part. */
  readonly href: string | null;
  /** Whether it is a worker of Node. */
  readonly isNode: boolean;
}

/** The globals of a thread. */
export type Scope = typeof globalThis;
/** Gives the address of a module that prepares a thread whose own module has an address; null where there is none. */
export type Preparation = (href: string | null, isNode: boolean) => string | null;
/** Gives the address of a module that prepares a worker and imports another one; null where that one could tell. */
export type Addresses = (specifier: unknown, isNode: boolean) => string | null;
/** Takes text, and says what it holds back. */
interface Printer {
  readonly write: (name: string, text: string) => void;
  readonly flush: () => void;
}
/** The functions of this file. */
export type ThreadParts = typeof THREAD_PARTS;

/** Begins in a thread. */
function begin(scope: Scope, settings: ThreadSettings, parts: ThreadParts): void {
  try {
    const printer = parts.printerOf(scope, settings, parts.lineOf(scope, settings.channel));
    if (!parts.replaceConsole(scope, printer, parts)) return;
    parts.place(scope, settings, parts);
  } catch {
    // The worker prints to nobody, as without this part.
    return;
  }
  const texts = parts.textOf(scope, parts);
  parts.wrapWorkers(
    scope,
    (href) =>
      `data:text/javascript,${
        scope.encodeURIComponent(parts.programOf(scope, { ...settings, href, isNode: false }, texts))
      }`,
    parts,
  );
}

/** The functions as a text. */
function textOf({ Object }: Scope, parts: ThreadParts): string {
  return `{${Object.entries(parts).map(([name, part]) => `${name}:${part}`).join(",")}}`;
}

/** A program that begins in a thread. */
function programOf({ JSON }: Scope, settings: ThreadSettings, texts: string): string {
  return `((parts)=>parts.begin(globalThis,${JSON.stringify(settings)},parts))(${texts});`;
}

function define({ Object }: Scope, object: object, name: string, value: unknown): void {
  const { enumerable = true } = Object.getOwnPropertyDescriptor(object, name) ?? {};
  Object.defineProperty(object, name, { value, enumerable, configurable: true, writable: true });
}

/** Sends words to the watchdog. */
function lineOf({ BroadcastChannel, Object, Reflect }: Scope, channel: string): (words: unknown[]) => void {
  const line = new BroadcastChannel(channel), { postMessage } = line;
  // It does not keep a worker going that would end otherwise.
  const count = Object.getOwnPropertySymbols(BroadcastChannel.prototype).find(({ description }) =>
    /ref/i.test(description ?? "")
  );
  if (count !== undefined) Reflect.apply(Reflect.get(line, count) as () => void, line, [false]);
  return (words) => Reflect.apply(postMessage, line, [words]);
}

/** Sends text, in pieces of which a few leave at once, since code may go on to compute for long, and more of them together. */
function printerOf(
  { Atomics, Int32Array, performance, queueMicrotask, SharedArrayBuffer }: Scope,
  { origin }: ThreadSettings,
  send: (words: unknown[]) => void,
): Printer {
  const HOLD_MS = 40, HOLD_LENGTH = 2 ** 17, FEW = 50, BURST = 2 ** 20, BURST_MS = 50;
  let held = "", heldName = "", sentAt = -Infinity, sent = 0, isTimed = false, burst = BURST;
  const flush = () => {
    if (held === "") return;
    const text = held, now = performance.now();
    held = "";
    if (now - sentAt > HOLD_MS) [sent, burst] = [0, BURST];
    sent++;
    sentAt = now;
    send(["printed", origin, heldName, text]);
    burst -= text.length;
    if (burst > 0) return;
    // Nobody takes more than so much.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BURST_MS);
    burst = BURST;
  };
  const write = (name: string, text: string) => {
    if (name !== heldName) flush();
    heldName = name;
    held += text;
    if (sent < FEW || held.length > HOLD_LENGTH || performance.now() - sentAt > HOLD_MS) return flush();
    if (isTimed) return;
    isTimed = true;
    queueMicrotask(() => {
      isTimed = false;
      flush();
    });
  };
  return { write, flush };
}

/** Has a thread print by a printer; false where it cannot. */
function replaceConsole(scope: Scope, { write, flush }: Printer, { define }: ThreadParts): boolean {
  const { console, Deno, Object, Promise, Proxy, Reflect, TextDecoder, WritableStream } = scope;
  const key = Reflect.get(Deno, "internal") as unknown as symbol;
  const Console: unknown = (Reflect.get(Deno, key) as { Console?: unknown } | undefined)?.Console;
  if (typeof Console !== "function") return false;
  const own: Record<string, unknown> = Reflect.construct(Console, [
    (text: string, level: number) => write(level > 1 ? "stderr" : "stdout", text),
  ]);
  for (const name of Object.keys(own)) {
    if (typeof own[name] === "function" && name in console) define(scope, console, name, own[name]);
  }
  define(scope, console, "clear", () => {});
  for (const name of ["stdout", "stderr"] as const) {
    const decoder = new TextDecoder();
    const writeSync = (bytes: Uint8Array) => {
      write(name, decoder.decode(bytes, { stream: true }));
      return bytes.byteLength;
    };
    define(scope, Deno[name], "writeSync", writeSync);
    define(scope, Deno[name], "write", (bytes: Uint8Array) => Promise.resolve(writeSync(bytes)));
    const writable = new WritableStream<Uint8Array>({ write: (bytes) => void writeSync(bytes) });
    define(scope, Deno[name], "writable", writable);
  }
  // A worker prints before it sends, so its words are there when its message comes.
  for (const name of ["postMessage", "close"]) {
    const native: unknown = Reflect.get(scope, name);
    if (typeof native !== "function") continue;
    const apply = (target: object, self: unknown, words: unknown[]) => {
      flush();
      return Reflect.apply(target as () => void, self, words);
    };
    define(scope, scope, name, new Proxy(native, { apply }));
  }
  return true;
}

/** Has a thread find itself at an address: the runtime takes the module that begins here for the worker's. */
function place(scope: Scope, { href, isNode }: ThreadSettings, { define }: ThreadParts): void {
  if (href === null) return;
  const { fetch, Object, Proxy, Reflect, Request, URL } = scope;
  if (isNode && href.startsWith("file:")) {
    const { argv, getBuiltinModule } = scope.process;
    argv[1] = getBuiltinModule("node:url").fileURLToPath(href);
  }
  const here = new URL(href),
    parts = "hash host hostname href origin pathname port protocol search".split(" ");
  const location = Object.create(Object.getPrototypeOf(scope.location));
  for (const part of parts) {
    Object.defineProperty(location, part, { value: Reflect.get(here, part), enumerable: true });
  }
  Object.defineProperty(location, "toString", { value: () => href });
  Object.defineProperty(scope, "location", { get: () => location, enumerable: true, configurable: true });
  const absolute = (target: unknown) =>
    typeof target !== "string" || URL.canParse(target) || !URL.canParse(target, href)
      ? target
      : new URL(target, href).href;
  define(
    scope,
    scope,
    "fetch",
    new Proxy(fetch, {
      apply: (target, self, [what, ...rest]) => Reflect.apply(target, self, [absolute(what), ...rest]),
    }),
  );
  const Relative = new Proxy(Request, {
    construct: (target, [what, ...rest], by) => Reflect.construct(target, [absolute(what), ...rest], by),
  });
  define(scope, Request.prototype, "constructor", Relative);
  define(scope, scope, "Request", Relative);
}

/** Knows the contents of addresses that begin with `blob:`. */
function blobsOf(scope: Scope, { define }: ThreadParts): {
  readonly get: (href: string) => Blob | undefined;
  /** An address that lasts until a worker has loaded its module. */
  readonly brief: (blob: Blob) => string;
} {
  const { Blob, Map, Proxy, Reflect, setTimeout, String, URL } = scope;
  const LOADED_MS = 60_000;
  const blobs = new Map<string, Blob>(), { createObjectURL, revokeObjectURL } = URL;
  const created: ProxyHandler<typeof createObjectURL> = {
    apply: (target, self, words) => {
      const url = Reflect.apply(target, self, words as [Blob]);
      if (words[0] instanceof Blob) blobs.set(url, words[0]);
      return url;
    },
  };
  const revoked: ProxyHandler<typeof revokeObjectURL> = {
    apply: (target, self, words) => {
      blobs.delete(String(words[0]));
      return Reflect.apply(target, self, words as [string]);
    },
  };
  define(scope, URL, "createObjectURL", new Proxy(createObjectURL, created));
  define(scope, URL, "revokeObjectURL", new Proxy(revokeObjectURL, revoked));
  return {
    get: (href) => blobs.get(href),
    brief: (blob) => {
      const address = createObjectURL(blob);
      setTimeout(() => revokeObjectURL(address), LOADED_MS);
      return address;
    },
  };
}

/** The text of a module, where that is known at once. */
function textAt({ atob, decodeURIComponent, Deno }: Scope, url: URL): string | null {
  try {
    if (url.protocol === "file:") return Deno.readTextFileSync(url);
    if (url.protocol !== "data:") return null;
    const [, head, body] = /^data:([^,]*),([^]*)$/.exec(url.href) ?? [];
    return /;\s*base64\s*$/i.test(head) ? atob(decodeURIComponent(body)) : decodeURIComponent(body);
  } catch {
    return null;
  }
}

/** Makes addresses of modules that prepare a worker and import another module. */
function addressesOf(scope: Scope, preparationFor: Preparation, parts: ThreadParts): Addresses {
  const { Blob, encodeURIComponent, JSON, String, URL } = scope;
  const blobs = parts.blobsOf(scope, parts);
  // A module that asks whether it is the first one would be told something else.
  const asks = /import\.meta[^]*\bmain\b|\bmain\b[^]*import\.meta|\brequire\.main\b|\bmodule\.(?!exports\b)/;
  return (specifier, isNode) => {
    if (typeof specifier !== "string" && !(specifier instanceof URL)) return null;
    // Only within a worker an address may be relative.
    const base = scope.location?.href, given = String(specifier);
    if (!URL.canParse(given, base)) return null;
    const url = new URL(given, base), blob = blobs.get(url.href);
    const text = blob ? "" : parts.textAt(scope, url);
    if (text === null || asks.test(text)) return null;
    const first = preparationFor(blob ? null : url.href, isNode);
    if (first === null) return null;
    // What a module imports runs first, wherever it says so.
    if (blob) {
      return blobs.brief(new Blob([blob, `\n;import ${JSON.stringify(first)};`], { type: blob.type }));
    }
    const both = `import ${JSON.stringify(first)};import ${JSON.stringify(url.href)};`;
    return `data:text/javascript,${encodeURIComponent(both)}`;
  };
}

/** Has the workers that are made from now on prepared. Where one cannot be, it is made as ever. */
function wrapWorkers(scope: Scope, preparationFor: Preparation, parts: ThreadParts): Addresses {
  const { Object, Proxy, Reflect, URL, Worker } = scope;
  const addressFor = parts.addressesOf(scope, preparationFor, parts);
  /** The runtime takes such addresses for relative to the module that a worker began with. */
  const absolute = (specifier: unknown): string => {
    const given = specifier as string, base = scope.location?.href;
    return base !== undefined && typeof given === "string" && /^[./]/.test(given) && URL.canParse(given, base)
      ? new URL(given, base).href
      : given;
  };
  const Wrapped: typeof Worker = new Proxy(Worker, {
    construct: (target, [specifier, options, ...rest], by) => {
      const isModule = options !== null && typeof options === "object" &&
        Object.getOwnPropertyDescriptor(options, "type")?.value === "module";
      const address = isModule ? addressFor(specifier, false) : null;
      return Reflect.construct(target, [address ?? absolute(specifier), options, ...rest], by);
    },
  });
  parts.define(scope, Worker.prototype, "constructor", Wrapped);
  parts.define(scope, scope, "Worker", Wrapped);
  return addressFor;
}

/** All of them, by name. */
export const THREAD_PARTS = {
  begin,
  textOf,
  programOf,
  define,
  lineOf,
  printerOf,
  replaceConsole,
  place,
  blobsOf,
  textAt,
  addressesOf,
  wrapWorkers,
};
