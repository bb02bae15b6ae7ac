/**
 * Weights as a PNG, for pages in which no script runs: one byte a pixel, of a palette from white to dark blue.
 */

/** Which blues, from weight 0 to the largest. */
const STOPS = [[247, 250, 253], [198, 219, 239], [107, 174, 214], [33, 113, 181], [8, 48, 107]] as const;
const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const SHADES = 255;

/** The picture of weights, a row a query, each pair a square of `size` pixels. */
export async function weightsPicture(
  weights: readonly Float32Array[],
  size: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const width = weights[0].length * size, height = weights.length * size;
  const largest = weights.reduce((most, row) => row.reduce((a, b) => Math.max(a, b), most), Number.MIN_VALUE);
  // A row begins with the number of its filter: none.
  const pixels = new Uint8Array((width + 1) * height);
  for (let y = 0; y < height; y++) {
    const row = weights[Math.floor(y / size)];
    for (let x = 0; x < width; x++) {
      pixels[y * (width + 1) + 1 + x] = Math.round(SHADES * row[Math.floor(x / size)] / largest);
    }
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  // 8 bits a pixel, by a palette.
  header.setUint8(8, 8);
  header.setUint8(9, 3);
  const deflated = new Blob([pixels]).stream().pipeThrough(new CompressionStream("deflate"));
  return Uint8Array.from([
    ...SIGNATURE,
    ...chunk("IHDR", new Uint8Array(header.buffer)),
    ...chunk("PLTE", palette()),
    ...chunk("IDAT", new Uint8Array(await new Response(deflated).arrayBuffer())),
    ...chunk("IEND", new Uint8Array()),
  ]);
}

function palette(): Uint8Array {
  return Uint8Array.from({ length: 3 * (SHADES + 1) }, (_, at) => {
    const position = Math.floor(at / 3) / SHADES * (STOPS.length - 1);
    const from = Math.min(Math.floor(position), STOPS.length - 2);
    const [low, high] = [STOPS[from][at % 3], STOPS[from + 1][at % 3]];
    return Math.round(low + (high - low) * (position - from));
  });
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  view.setUint32(data.length + 8, checksum(bytes.subarray(4, data.length + 8)));
  return bytes;
}

/** The CRC-32 of PNG. */
function checksum(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
}
