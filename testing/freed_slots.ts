// An engine in the middle of its life.

import { DynamicAttention, type DynamicAttentionOptions } from "../mod.ts";
import { Random } from "./random.ts";

/** An engine with freed slots, heavy keys and a patched row, and nothing that is a function. */
export async function someEngine(options: Partial<DynamicAttentionOptions> = {}): Promise<DynamicAttention> {
  const random = new Random(7);
  const engine = await DynamicAttention.create({
    query: random.rows(3, 4),
    key: random.rows(6, 4),
    value: random.rows(6, 3),
    ...options,
  });
  engine.setKey(1, random.row(4, 200));
  engine.delete(4);
  engine.delete(2);
  engine.deleteQuery(1);
  await engine.flush();
  return engine;
}
