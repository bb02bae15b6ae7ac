/**
 * Shows what cells write to the standard streams themselves. The stock kernel shows what comes by way of `console` alone.
 */

import fs from "node:fs";
import process from "node:process";
import { syncBuiltinESMExports } from "node:module";
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

/** Shows text. */
export type Write = (name: "stdout" | "stderr", text: string) => void;

const STREAMS = ["stdout", "stderr"] as const;

/** Replaces the ways to write. */
export function replaceStdio(write: Write): void {
  const writers = STREAMS.map((name) => {
    const decoder = new TextDecoder();
    return (bytes: Uint8Array): number => {
      write(name, decoder.decode(bytes, { stream: true }));
      return bytes.byteLength;
    };
  });
  STREAMS.forEach((name, at) => replaceDeno(name, writers[at]));
  replaceNode(writers);
}

function replaceDeno(name: "stdout" | "stderr", writeSync: (bytes: Uint8Array) => number): void {
  const writable = new WritableStream<Uint8Array>({ write: (bytes) => void writeSync(bytes) });
  define(Deno[name], {
    writeSync,
    write: (bytes: Uint8Array) => Promise.resolve(writeSync(bytes)),
  });
  Object.defineProperty(Deno[name], "writable", { value: writable, configurable: true });
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
  const native = fs.writeSync;
  define(fs, {
    writeSync: (fd: number, data: string | NodeJS.ArrayBufferView, ...rest: never[]): number => {
      if (fd !== 1 && fd !== 2) return (native as (...args: unknown[]) => number)(fd, data, ...rest);
      const bytes = toBytes(data);
      const [offset, length] = typeof data === "string" ? [] : rest as (number | undefined)[];
      return writers[fd - 1](bytes.subarray(offset ?? 0, (offset ?? 0) + (length ?? bytes.length)));
    },
  });
  syncBuiltinESMExports();
}

function define(object: object, methods: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
  }
}
