// Reads protocol buffers back, knowing nothing of the writer: what a field holds is left to who asks.

/** A field: a number, or bytes. */
export interface Field {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** The fields of a message, in order. Throws where the bytes are not a message. */
export function readFields(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  function varint(): number {
    let value = 0;
    for (let scale = 1;; scale *= 128) {
      if (at >= bytes.length) throw new RangeError("readFields: the bytes end inside a number");
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8), wireType = tag % 8;
    if (wireType === 0) fields.push({ number, value: varint() });
    else if (wireType === 2) {
      const length = varint();
      if (at + length > bytes.length) throw new RangeError("readFields: the bytes end inside a field");
      fields.push({ number, value: bytes.slice(at, at + length) });
      at += length;
    } else throw new RangeError(`readFields: wire type is ${wireType}, expected 0 or 2`);
  }
  return fields;
}

/** The messages in a field that may repeat. */
export function messagesIn(fields: readonly Field[], number: number): Field[][] {
  return fields.flatMap((field) =>
    field.number === number && field.value instanceof Uint8Array ? [readFields(field.value)] : []
  );
}

/** The texts in a field that may repeat. */
export function textsIn(fields: readonly Field[], number: number): string[] {
  return fields.flatMap((field) =>
    field.number === number && field.value instanceof Uint8Array
      ? [new TextDecoder().decode(field.value)]
      : []
  );
}

/** The numbers in a field that may repeat. */
export function numbersIn(fields: readonly Field[], number: number): number[] {
  return fields.flatMap((field) =>
    field.number === number && typeof field.value === "number" ? [field.value] : []
  );
}
