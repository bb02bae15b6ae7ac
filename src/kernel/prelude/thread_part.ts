/**
 * The part of the kernel in the workers that cells start: what they print goes to the proxy by way of the watchdog, which is
 * never busy, and says which cell has started them.
 *
 * Invariant: each function here stands alone, since it runs as text in threads that have no module of the kernel: it takes what
 * it needs from `scope`, the globals of its thread. A worker sees the same as without this part.
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

type Scope = typeof globalThis;
/** Gives a module, or a program, that prepares a thread, whose own module has an address. */
export type Preparation = (href: string | null, isNode: boolean) => string | null;
type Names = Record<string, unknown>;

/** Begins in a thread. */
export function beginThread(
  scope: Scope,
  settings: ThreadSettings,
  open: typeof openThread,
  wrap: typeof wrapWorkers,
): void {
  const { encodeURIComponent, JSON } = scope;
  try {
    if (!open(scope, settings)) return;
  } catch {
    // The worker prints to nobody, as without this part.
    return;
  }
  const programFor = (href: string | null) =>
    `(${beginThread})(globalThis,${JSON.stringify({ ...settings, href, isNode: false })},${open},${wrap});`;
  wrap(scope, (href) => `data:text/javascript,${encodeURIComponent(programFor(href))}`);
}

/** Has a thread print to the proxy; false where it cannot. */
export function openThread(scope: Scope, { channel, origin, href, isNode }: ThreadSettings): boolean {
  const {
    BroadcastChannel,
    console,
    Deno,
    Object,
    performance,
    queueMicrotask,
    Reflect,
    TextDecoder,
  } = scope;
  const { Atomics, Int32Array, SharedArrayBuffer, Request, WritableStream, URL, Proxy, Promise } = scope;
  const HOLD_MS = 40, HOLD_LENGTH = 2 ** 17, FEW = 50, BURST = 2 ** 20, BURST_MS = 50;
  const internal = Reflect.get(Deno, Reflect.get(Deno, "internal") as symbol) as Names | undefined;
  const Console = internal?.Console as
    | (new (print: (text: string, level: number) => void) => Names)
    | undefined;
  if (typeof Console !== "function") return false;
  const line = new BroadcastChannel(channel);
  // It does not keep a worker going that would end otherwise.
  const count = Object.getOwnPropertySymbols(BroadcastChannel.prototype).find(({ description }) =>
    /ref/i.test(description ?? "")
  );
  if (count !== undefined) Reflect.apply(Reflect.get(line, count) as () => void, line, [false]);
  let held = "", heldName = "", sentAt = -Infinity, sent = 0, isTimed = false, burst = BURST;
  const { postMessage } = line, send = (...words: unknown[]) => Reflect.apply(postMessage, line, [words]);
  const flush = () => {
    if (held === "") return;
    const text = held, now = performance.now();
    held = "";
    if (now - sentAt > HOLD_MS) [sent, burst] = [0, BURST];
    sent++;
    sentAt = now;
    send("printed", origin, heldName, text);
    burst -= text.length;
    // Nobody takes more than so much.
    if (burst < 0) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BURST_MS);
      burst = BURST;
    }
  };
  const write = (name: string, text: string) => {
    if (name !== heldName) flush();
    heldName = name;
    held += text;
    // A few pieces leave at once, since the code may go on to compute for long, and more of them together.
    if (sent < FEW || held.length > HOLD_LENGTH || performance.now() - sentAt > HOLD_MS) return flush();
    if (isTimed) return;
    isTimed = true;
    queueMicrotask(() => {
      isTimed = false;
      flush();
    });
  };
  const define = (object: object, name: string, value: unknown) => {
    const { enumerable = true } = Object.getOwnPropertyDescriptor(object, name) ?? {};
    Object.defineProperty(object, name, { value, enumerable, configurable: true, writable: true });
  };
  const own = new Console((text, level) => write(level > 1 ? "stderr" : "stdout", text));
  for (const name of Object.keys(own)) {
    if (typeof own[name] === "function" && name in console) define(console, name, own[name]);
  }
  define(console, "clear", () => {});
  for (const name of ["stdout", "stderr"] as const) {
    const decoder = new TextDecoder();
    const writeSync = (bytes: Uint8Array) => {
      write(name, decoder.decode(bytes, { stream: true }));
      return bytes.byteLength;
    };
    define(Deno[name], "writeSync", writeSync);
    define(Deno[name], "write", (bytes: Uint8Array) => Promise.resolve(writeSync(bytes)));
    define(
      Deno[name],
      "writable",
      new WritableStream<Uint8Array>({ write: (bytes) => void writeSync(bytes) }),
    );
  }
  // What was printed before a message has come when the message comes.
  for (const name of ["postMessage", "close"]) {
    const native: unknown = Reflect.get(scope, name);
    if (typeof native !== "function") continue;
    define(
      scope,
      name,
      new Proxy(native, {
        apply: (target, self, words) => {
          flush();
          return Reflect.apply(target as () => void, self, words);
        },
      }),
    );
  }
  if (href === null) return true;
  if (isNode && href.startsWith("file:")) {
    const { argv, getBuiltinModule } = scope.process;
    argv[1] = getBuiltinModule("node:url").fileURLToPath(href);
  }
  // The runtime takes the module that begins here for the worker's, and addresses for relative to that.
  const here = new URL(href),
    parts = "hash host hostname href origin pathname port protocol search".split(" ");
  const location = Object.create(Object.getPrototypeOf(scope.location));
  for (const part of parts) {
    Object.defineProperty(location, part, { value: Reflect.get(here, part), enumerable: true });
  }
  Object.defineProperty(location, "toString", { value: () => href });
  Object.defineProperty(scope, "location", { get: () => location, enumerable: true, configurable: true });
  const absolute = (target: unknown) => {
    if (typeof target !== "string" || URL.canParse(target) || !URL.canParse(target, href)) return target;
    return new URL(target, href).href;
  };
  define(
    scope,
    "fetch",
    new Proxy(scope.fetch, {
      apply: (target, self, [what, ...rest]) => Reflect.apply(target, self, [absolute(what), ...rest]),
    }),
  );
  const Relative = new Proxy(Request, {
    construct: (target, [what, ...rest], by) => Reflect.construct(target, [absolute(what), ...rest], by),
  });
  define(Request.prototype, "constructor", Relative);
  define(scope, "Request", Relative);
  return true;
}

/**
 * Has the workers that are made from now on prepared. Where one cannot be, it is made as ever. Returns what gives the address of
 * a module that prepares a worker and imports another module; null where that could be told.
 */
export function wrapWorkers(
  scope: Scope,
  preparationFor: Preparation,
): (specifier: unknown, isNode: boolean) => string | null {
  const {
    Blob,
    decodeURIComponent,
    Deno,
    encodeURIComponent,
    JSON,
    Map,
    Object,
    Proxy,
    Reflect,
    String,
    URL,
  } = scope;
  const { setTimeout, atob, Worker } = scope;
  /** A worker has loaded its module by then. */
  const LOADED_MS = 60_000;
  const blobs = new Map<string, Blob>();
  const { createObjectURL, revokeObjectURL } = URL;
  const define = (object: object, name: string, value: unknown) => {
    const { enumerable = true } = Object.getOwnPropertyDescriptor(object, name) ?? {};
    Object.defineProperty(object, name, { value, enumerable, configurable: true, writable: true });
  };
  define(
    URL,
    "createObjectURL",
    new Proxy(createObjectURL, {
      apply: (target, self, words) => {
        const url = Reflect.apply(target, self, words as [Blob]);
        if (words[0] instanceof Blob) blobs.set(url, words[0]);
        return url;
      },
    }),
  );
  define(
    URL,
    "revokeObjectURL",
    new Proxy(revokeObjectURL, {
      apply: (target, self, words) => {
        blobs.delete(String(words[0]));
        return Reflect.apply(target, self, words as [string]);
      },
    }),
  );
  const textAt = (url: URL): string | null => {
    try {
      if (url.protocol === "file:") return Deno.readTextFileSync(url);
      if (url.protocol !== "data:") return null;
      const [, head, body] = /^data:([^,]*),([^]*)$/.exec(url.href) ?? [];
      return /;\s*base64\s*$/i.test(head) ? atob(decodeURIComponent(body)) : decodeURIComponent(body);
    } catch {
      return null;
    }
  };
  /** The address of a module that does more than another one; null where that could be told. */
  const addressFor = (specifier: unknown, isNode: boolean): string | null => {
    if (typeof specifier !== "string" && !(specifier instanceof URL)) return null;
    // Only within a worker an address may be relative.
    const base = scope.location?.href, given = String(specifier);
    if (!URL.canParse(given, base)) return null;
    const url = new URL(given, base), blob = blobs.get(url.href);
    if (blob) {
      const bridge = preparationFor(null, isNode);
      if (bridge === null) return null;
      // What a module imports runs first, wherever it says so.
      const both = new Blob([blob, `\n;import ${JSON.stringify(bridge)};`], { type: blob.type });
      const address = createObjectURL(both);
      setTimeout(() => revokeObjectURL(address), LOADED_MS);
      return address;
    }
    const text = textAt(url);
    // A module that asks whether it is the first one would be told something else.
    if (
      text === null || /import\.meta/.test(text) && /\bmain\b/.test(text) || /\brequire\.main\b/.test(text)
    ) {
      return null;
    }
    const bridge = preparationFor(url.href, isNode);
    if (bridge === null) return null;
    const both = `import ${JSON.stringify(bridge)};import ${JSON.stringify(url.href)};`;
    return `data:text/javascript,${encodeURIComponent(both)}`;
  };
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
  define(Worker.prototype, "constructor", Wrapped);
  define(scope, "Worker", Wrapped);
  return addressFor;
}
