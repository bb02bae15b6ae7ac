import { DynamicAttention } from "./mod.ts";
import { Random } from "./testing/random.ts";
const r = new Random(3), n = 4096, m = 128, d = 64;
const mk = (lazyThreshold: any) => DynamicAttention.create({ query: r.rows(m, d), key: r.rows(n, d), value: r.rows(n, d), backend: "wasm", threads: 1, lazyThreshold });
const mode = Deno.args[0];
const live = await mk(mode === "error0" ? { error: 0 } : mode === "error" ? { error: 0.05 } : Infinity);
const med = (a: number[]) => a.toSorted((x, y) => x - y)[a.length >> 1];
const rows = Array.from({ length: 64 }, () => r.row(d, 0.01));
const key = Array.from({ length: 64 }, (_, i) => live.getKey(i));
const times: number[] = [];
for (let i = 0; i < Number(Deno.args[1] ?? 4000); i++) {
  const s = i % 16;
  live.setKey(s, key[s].map((x: number, c: number) => x + rows[(i * 7) % 64][c]));
  const t = performance.now();
  if (mode === "read") await live.read(); else await live.peek();
  times.push(performance.now() - t);
}
console.log(mode, (1000 * med(times)).toFixed(1), "µs", JSON.stringify(live.stats()).slice(0, 300));
await live.dispose();
