// All that an engine holds but its states, whatever way it came to hold it.

import type { DynamicAttention, RowId } from "../../mod.ts";
import { decodeSafetensors } from "../../src/store/mod.ts";

type Engine = Pick<DynamicAttention<RowId, RowId>, "save" | "sequence" | "metadata">;

/** Entries and tensors that count from the origin of positions, of which a journal knows nothing. */
const FROM_ORIGIN = ["nextKeyPosition", "nextQueryPosition"], POSITIONS = /^(query|key)\.positions$/;

/** All that a snapshot holds but the states, which are computed anew when a folder is opened. */
export async function contentOf(live: Engine): Promise<unknown> {
  const { metadata: { sha256: _, origin = "0", ...rest }, tensors } = decodeSafetensors(await live.save());
  const names = Object.keys(tensors).filter((name) => !name.startsWith("array.")).sort();
  const metadata = new Map(Object.entries(rest));
  for (const name of FROM_ORIGIN) metadata.set(name, `${Number(metadata.get(name)) + Number(origin)}`);
  return {
    metadata,
    tensors: names.map((name) => {
      const { data, shape } = tensors[name];
      if (!POSITIONS.test(name) || origin === "0") return [name, data, shape];
      // A free slot is at 0 whatever the origin is.
      const free = Array.from(tensors[name.replace("positions", "free")]?.data ?? [], Number);
      const places = Array.from(data, Number).map((held, slot) => {
        return free.includes(slot) ? held : held + Number(origin);
      });
      return [name, Float64Array.from(places), shape];
    }),
    own: [live.sequence, live.metadata],
  };
}
