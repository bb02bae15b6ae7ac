/**
 * The functions of `node:fs` that take the number of an open file: 1 and 2 are the streams of the kernel, of which the stock
 * kernel shows nothing.
 *
 * Invariant: what is written to another file goes to the runtime's own function, with the same arguments.
 */

import fs from "node:fs";
import { Buffer } from "node:buffer";
import { Writable } from "node:stream";
import { ArrayBuffer, Object, queueMicrotask, Reflect } from "../natives.ts";

/** Writes to a stream by its number; says how many bytes it has taken. */
type WriteNumber = (fd: 1 | 2, data: unknown) => number;
type Native = (...args: unknown[]) => unknown;
type Callback = (error: null, written?: number, data?: unknown) => void;

/** Replaces them. */
export function replaceFiles(write: WriteNumber): void {
  const define = (name: string, own: (fd: 1 | 2, ...rest: unknown[]) => unknown) => {
    replace(name, (native) => (...args) => {
      const [fd, ...rest] = args;
      return isStream(fd) ? own(fd, ...rest) : native(...args);
    });
  };
  const writeParts = (fd: 1 | 2, parts: unknown) => {
    let sum = 0;
    for (const part of parts as unknown[]) sum += write(fd, part);
    return sum;
  };
  define("writeSync", (fd, data, ...rest) => write(fd, partOf(data, rest)));
  define("write", (fd, data, ...rest) => {
    calledBack(rest, write(fd, partOf(data, rest)), data);
  });
  define("writevSync", writeParts);
  define("writev", (fd, parts, ...rest) => {
    calledBack(rest, writeParts(fd, parts), parts);
  });
  for (const name of ["writeFileSync", "appendFileSync"]) define(name, (fd, data) => void write(fd, data));
  for (const name of ["writeFile", "appendFile"]) {
    define(name, (fd, data, ...rest) => {
      write(fd, data);
      calledBack(rest);
    });
  }
  replace("createWriteStream", (native) => (path, options) => {
    const fd = typeof options === "object" && options !== null && "fd" in options ? options.fd : null;
    return isStream(fd) ? streamTo((data) => write(fd, data)) : native(path, options);
  });
}

/** Puts another function in the place of one, with what belongs to it, as its form that promises. */
function replace(name: string, make: (native: Native) => Native): void {
  const native = Reflect.get(fs, name) as Native;
  const value = Object.defineProperties(make(native), Object.getOwnPropertyDescriptors(native));
  Object.defineProperty(fs, name, { value, configurable: true, writable: true, enumerable: true });
}

/** A stream that writes at once, and closes nothing. */
function streamTo(write: (data: unknown) => void): Writable {
  return new Writable({
    write: (bytes, _, done) => {
      write(bytes);
      done();
    },
  });
}

function isStream(fd: unknown): fd is 1 | 2 {
  return fd === 1 || fd === 2;
}

/** An offset into bytes with a length, or an object that names the two. */
function partOf(data: unknown, rest: readonly unknown[]): unknown {
  if (!ArrayBuffer.isView(data)) return data;
  const given = typeof rest[0] === "object" && rest[0] !== null ? rest[0] as Record<string, unknown> : {
    offset: rest[0],
    length: rest[1],
  };
  const offset = typeof given.offset === "number" ? given.offset : 0;
  const length = typeof given.length === "number" ? given.length : data.byteLength - offset;
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).subarray(offset, offset + length);
}

function calledBack(rest: readonly unknown[], written?: number, data?: unknown): void {
  const callback = rest.findLast((item) => typeof item === "function") as Callback | undefined;
  if (callback) queueMicrotask(() => written === undefined ? callback(null) : callback(null, written, data));
}
