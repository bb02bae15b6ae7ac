/**
 * The kernel's icon: a small table of attention, heaviest on the diagonal. It is drawn here, so that no picture needs to be
 * kept.
 */

import { deflateSync } from "node:zlib";

/** Weights of four queries over four keys, from 0 to 1. */
const WEIGHTS = [
  [1, 0.35, 0.15, 0.05],
  [0.45, 1, 0.3, 0.1],
  [0.1, 0.4, 1, 0.35],
  [0.05, 0.15, 0.5, 1],
];
type Color = readonly [red: number, green: number, blue: number];
const GROUND: Color = [22, 28, 45], LIGHT: Color = [255, 196, 61];
/** All lengths are parts of the width. */
const CORNER = 0.18, MARGIN = 0.14, GAP = 0.03;
const CELL = (1 - 2 * MARGIN - 3 * GAP) / 4;
/** Points that are looked at in each direction of a pixel, for smooth edges. */
const SAMPLES = 4;

/** As SVG. */
export function iconSvg(): string {
  const cells = WEIGHTS.flatMap((row, y) =>
    row.map((weight, x) =>
      `<rect x="${percent(placeOf(x))}" y="${percent(placeOf(y))}" width="${percent(CELL)}" height="${
        percent(CELL)
      }" rx="1.5" fill="rgb(${colorOf(weight).join(",")})"/>`
    )
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><rect width="100" height="100" rx="${
    percent(CORNER)
  }" fill="rgb(${GROUND.join(",")})"/>${cells.join("")}</svg>\n`;
}

/** As PNG of a width and height in pixels. */
export function iconPng(size: number): Uint8Array<ArrayBuffer> {
  const rows = new Uint8Array(size * (1 + 4 * size));
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) rows.set(pixel(x, y, size), y * (1 + 4 * size) + 1 + 4 * x);
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, size);
  header.setUint32(4, size);
  header.setUint8(8, 8);
  header.setUint8(9, 6);
  const chunks = [
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("IDAT", new Uint8Array(deflateSync(rows))),
    chunk("IEND", new Uint8Array()),
  ];
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, signature.length));
  bytes.set(signature);
  let at = signature.length;
  for (const part of chunks) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function pixel(x: number, y: number, size: number): number[] {
  const sum = [0, 0, 0];
  let covered = 0;
  for (let sample = 0; sample < SAMPLES ** 2; sample++) {
    const u = (x + (sample % SAMPLES + 0.5) / SAMPLES) / size;
    const v = (y + (Math.floor(sample / SAMPLES) + 0.5) / SAMPLES) / size;
    const color = colorAt(u, v);
    if (!color) continue;
    covered++;
    color.forEach((part, at) => sum[at] += part);
  }
  const color = sum.map((part) => covered === 0 ? 0 : Math.round(part / covered));
  return [...color, Math.round(255 * covered / SAMPLES ** 2)];
}

/** The color of a point; null outside of the round corners. */
function colorAt(u: number, v: number): Color | null {
  const fromCorner = [u, v].map((part) => Math.max(CORNER - part, part - (1 - CORNER), 0));
  if (Math.hypot(...fromCorner) > CORNER) return null;
  const [x, y] = [u, v].map((part) => Math.floor((part - MARGIN) / (CELL + GAP)));
  const isInside = [[u, x], [v, y]].every(([part, at]) => at >= 0 && at < 4 && part - placeOf(at) < CELL);
  return isInside ? colorOf(WEIGHTS[y][x]) : GROUND;
}

function placeOf(index: number): number {
  return MARGIN + index * (CELL + GAP);
}

function colorOf(weight: number): number[] & Color {
  return GROUND.map((dark, at) => Math.round(dark + (LIGHT[at] - dark) * weight)) as number[] & Color;
}

function percent(part: number): string {
  return String(Math.round(part * 10_000) / 100);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length), view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, checksum(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

function checksum(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
}
