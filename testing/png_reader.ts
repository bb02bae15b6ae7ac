// Reads a PNG file of eight bits a channel, with or without transparency, all of whose checksums have to be
// right.

import { crc32 } from "node:zlib";
import { assertEquals } from "./assert.ts";

export interface DecodedPng {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue. */
  readonly pixel: (x: number, y: number) => number[];
}

const RGB = 2, RGBA = 6;

/** Decodes base64. */
export async function decodePng(base64: string): Promise<DecodedPng> {
  const bytes = Uint8Array.fromBase64(base64);
  assertEquals([...bytes.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const view = new DataView(bytes.buffer);
  const data: Uint8Array<ArrayBuffer>[] = [];
  let last = "";
  for (let at = 8; at < bytes.length;) {
    const length = view.getUint32(at);
    last = new TextDecoder().decode(bytes.subarray(at + 4, at + 8));
    if (last === "IDAT") data.push(bytes.slice(at + 8, at + 8 + length));
    assertEquals(view.getUint32(at + 8 + length), crc32(bytes.subarray(at + 4, at + 8 + length)), last);
    at += 12 + length;
  }
  assertEquals(last, "IEND");
  const width = view.getUint32(16), height = view.getUint32(20), type = view.getUint8(25);
  assertEquals([view.getUint8(24), type === RGB || type === RGBA, view.getUint8(28)], [8, true, 0]);
  const stream = new Blob(data).stream().pipeThrough(new DecompressionStream("deflate"));
  const lines = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = type === RGBA ? 4 : 3;
  const pixels = unfilter(lines, width * size, height, size);
  return {
    width,
    height,
    pixel: (x, y) => [...pixels.subarray((y * width + x) * size, (y * width + x) * size + 3)],
  };
}

/** Undoes the five filters of lines. */
function unfilter(lines: Uint8Array, stride: number, height: number, size: number): Uint8Array {
  assertEquals(lines.length, (stride + 1) * height);
  const pixels = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = lines[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x;
      const left = x >= size ? pixels[at - size] : 0;
      const up = y > 0 ? pixels[at - stride] : 0;
      const corner = x >= size && y > 0 ? pixels[at - stride - size] : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
      pixels[at] = lines[y * (stride + 1) + 1 + x] + guess;
    }
  }
  return pixels;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((value) => Math.abs(guess - value));
  return a <= b && a <= c ? left : b <= c ? up : corner;
}
