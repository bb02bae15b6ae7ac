// The models are read back by a reader that shares nothing with the writer.

import { attentionModel, type ModelForm } from "../../bench/onnx/attention_models.ts";
import { assertEquals } from "../../testing/assert.ts";
import { messagesIn, numbersIn, readFields, textsIn } from "./protobuf_reader.ts";

const SHAPE = { queryCount: 300, keyCount: 70_000, headDim: 64, valueDim: 5 };

function readModel(form: ModelForm) {
  const model = readFields(attentionModel(form, SHAPE));
  const [graph] = messagesIn(model, 7);
  const nodes = messagesIn(graph, 1).map((node) => ({
    operator: textsIn(node, 4)[0],
    domain: textsIn(node, 7)[0] ?? "",
    inputs: textsIn(node, 1),
    outputs: textsIn(node, 2),
    attributes: messagesIn(node, 5).map((attribute) => [
      textsIn(attribute, 1)[0],
      ...numbersIn(attribute, 3),
      ...numbersIn(attribute, 8),
    ]),
  }));
  const tensors = (field: number) =>
    messagesIn(graph, field).map((info) => {
      const [tensor] = messagesIn(messagesIn(info, 2)[0], 1);
      const dimensions = messagesIn(messagesIn(tensor, 2)[0], 1).flatMap((dimension) =>
        numbersIn(dimension, 1)
      );
      return { name: textsIn(info, 1)[0], type: numbersIn(tensor, 1)[0], dimensions };
    });
  const opsets = messagesIn(model, 8).map((opset) => [textsIn(opset, 1)[0] ?? "", numbersIn(opset, 2)[0]]);
  return {
    irVersion: numbersIn(model, 1)[0],
    opsets,
    nodes,
    inputs: tensors(11),
    outputs: tensors(12),
    graph,
  };
}

Deno.test("both forms declare float32 inputs and an output of the sizes asked for, and both operator sets", () => {
  for (const form of ["fused", "products"] as const) {
    const { inputs, outputs, opsets, irVersion } = readModel(form);
    assertEquals(inputs, [
      { name: "query", type: 1, dimensions: [1, 300, 64] },
      { name: "key", type: 1, dimensions: [1, 70_000, 64] },
      { name: "value", type: 1, dimensions: [1, 70_000, 5] },
    ]);
    assertEquals(outputs, [{ name: "output", type: 1, dimensions: [1, 300, 5] }]);
    assertEquals(opsets, [["", 17], ["com.microsoft", 1]]);
    assertEquals(irVersion, 8);
  }
});

Deno.test("the fused form is one operator of the contributed domain", () => {
  assertEquals(readModel("fused").nodes, [{
    operator: "MultiHeadAttention",
    domain: "com.microsoft",
    inputs: ["query", "key", "value"],
    outputs: ["output"],
    attributes: [["num_heads", 1]],
  }]);
});

Deno.test("the form of products uses only what was made before, and its softmax runs over the keys", () => {
  const { nodes, graph } = readModel("products");
  const known = new Set(["query", "key", "value", ...messagesIn(graph, 5).flatMap((one) => textsIn(one, 8))]);
  for (const { inputs, outputs } of nodes) {
    for (const input of inputs) assertEquals(known.has(input), true, input);
    for (const output of outputs) known.add(output);
  }
  assertEquals(known.has("output"), true);
  assertEquals(nodes.find(({ operator }) => operator === "Softmax")?.attributes, [["axis", 2]]);
  assertEquals(nodes.map(({ domain }) => domain), ["", "", "", "", ""]);
});

Deno.test("the form of products scales by one over the root of the head size", () => {
  const [scale] = messagesIn(readModel("products").graph, 5);
  const raw = scale.find(({ number }) => number === 9)?.value;
  assertEquals(raw, new Uint8Array(Float32Array.of(1 / 8).buffer));
});
