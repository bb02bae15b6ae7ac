/**
 * Shows what cells write to the standard streams themselves. The stock kernel shows what comes by way of `console` alone.
 */

import process from "node:process";
import { syncBuiltinESMExports } from "node:module";
import type { Origin } from "./outputs.ts";
import { replaceFiles } from "./numbered_files.ts";
import {
  ArrayBuffer,
  Deno,
  Object,
  Promise,
  queueMicrotask,
  String,
  TextDecoder,
  TextEncoder,
  Uint8Array,
  WritableStream,
} from "../natives.ts";

/** Shows text, below the cell that the running code belongs to unless one is given. */
export type Write = (name: "stdout" | "stderr", text: string, origin?: Origin | null) => void;

const STREAMS = ["stdout", "stderr"] as const;

/** Replaces the ways to write. */
export function replaceStdio(write: Write, originNow: () => Origin | null): void {
  const writers = STREAMS.map((name) => {
    const decoder = new TextDecoder();
    let last: Origin | null = null;
    return (bytes: Uint8Array): number => {
      const origin = originNow();
      // Half a letter that one cell has left is no part of what another one writes.
      if (origin?.id !== last?.id || origin?.kind !== last?.kind) write(name, decoder.decode(), last);
      last = origin;
      write(name, decoder.decode(bytes, { stream: true }), origin);
      return bytes.byteLength;
    };
  });
  STREAMS.forEach((name, at) => replaceDeno(name, writers[at]));
  replaceNode(writers);
}

function replaceDeno(name: "stdout" | "stderr", writeSync: (bytes: Uint8Array) => number): void {
  let writable: WritableStream<Uint8Array> | null = null;
  const open = () => {
    const ended = () => void (writable = null);
    return new WritableStream<Uint8Array>({
      write: (bytes) => void writeSync(bytes),
      close: ended,
      abort: ended,
    });
  };
  define(Deno[name], {
    writeSync,
    write: (bytes: Uint8Array) => Promise.resolve(writeSync(bytes)),
  });
  // A cell that closes it, as whatever is piped into it does at its end, can run again.
  Object.defineProperty(Deno[name], "writable", { get: () => writable ??= open(), configurable: true });
}

/** `process.stdout`, and what is written to the numbers 1 and 2. */
function replaceNode(writers: readonly ((bytes: Uint8Array) => number)[]): void {
  const encoder = new TextEncoder();
  const toBytes = (data: unknown): Uint8Array =>
    ArrayBuffer.isView(data)
      ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      : encoder.encode(String(data));
  STREAMS.forEach((name, at) => {
    const done = (rest: readonly unknown[]) => {
      const callback = rest.findLast((item) => typeof item === "function");
      if (typeof callback === "function") queueMicrotask(() => callback());
    };
    define(process[name], {
      write: (data: unknown, ...rest: unknown[]) => {
        writers[at](toBytes(data));
        done(rest);
        return true;
      },
    });
  });
  replaceFiles((fd, data) => writers[fd - 1](toBytes(data)));
  syncBuiltinESMExports();
}

function define(object: object, methods: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
  }
}
