// LanceDB: a table of columns, in which replaced rows are merged as a new version.

import type { Way } from "./memory_workload.ts";

interface Row {
  readonly id: number;
  readonly vector: number[];
}
interface Table {
  mergeInsert(on: string): { whenMatchedUpdateAll(): { execute(rows: readonly Row[]): Promise<unknown> } };
  query(): { where(filter: string): { toArray(): Promise<{ readonly vector: Iterable<number> }[]> } };
  close(): void;
}
interface Lance {
  connect(folder: string): Promise<{
    createTable(name: string, rows: readonly Row[]): Promise<Table>;
    openTable(name: string): Promise<Table>;
    close(): void;
  }>;
}

export const LANCEDB: Way = {
  name: "LanceDB, merged",
  promise: "given to the system, not synced",
  async open(folder, rows) {
    const specifier = "@lancedb/lancedb";
    const { connect }: Lance = await import(specifier);
    const database = await connect(folder);
    const toRow = (row: Float32Array, id: number): Row => ({ id, vector: Array.from(row) });
    const table = rows
      ? await database.createTable("memory", rows.map(toRow))
      : await database.openTable("memory");
    return {
      async replace(slots, fresh) {
        await table.mergeInsert("id").whenMatchedUpdateAll().execute(
          slots.map((slot, at) => toRow(fresh[at], slot)),
        );
      },
      async row(slot) {
        const [found] = await table.query().where(`id = ${slot}`).toArray();
        return Array.from(found.vector);
      },
      close() {
        table.close();
        database.close();
        return Promise.resolve();
      },
    };
  },
};
