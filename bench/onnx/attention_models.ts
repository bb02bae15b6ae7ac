// The two forms in which ONNX Runtime is asked for attention, as bytes of a model: its own fused operator
// MultiHeadAttention, and the product, softmax and product that a converted network has.

import { MessageWriter } from "./protobuf.ts";

/** Sizes of one head of attention: m queries, n keys. */
export interface AttentionShape {
  readonly queryCount: number;
  readonly keyCount: number;
  readonly headDim: number;
  readonly valueDim: number;
}

/** How a model asks. */
export type ModelForm = "fused" | "products";

// Field numbers of onnx.proto.
const MODEL = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8 };
const OPSET = { domain: 1, version: 2 };
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 };
const NODE = { input: 1, output: 2, operator: 4, attribute: 5, domain: 7 };
const ATTRIBUTE = { name: 1, integer: 3, integers: 8, type: 20 };
const VALUE_INFO = { name: 1, type: 2 };
const TYPE = { tensor: 1 };
const TENSOR_TYPE = { elementType: 1, shape: 2 };
const SHAPE = { dimension: 1 };
const DIMENSION = { value: 1 };
const TENSOR = { dataType: 2, name: 8, rawData: 9 };
const FLOAT_ELEMENTS = 1, INTEGER_ATTRIBUTE = 2, INTEGERS_ATTRIBUTE = 7;

const IR_VERSION = 8, STANDARD_OPSET = 17, CONTRIBUTED_OPSET = 1;
const CONTRIBUTED = "com.microsoft";

/** The names of a model's inputs and of its output. */
export const MODEL_INPUTS = ["query", "key", "value"] as const;
export const MODEL_OUTPUT = "output";

/** The shapes of a model's inputs and output: a batch of one, then rows and columns. */
export function tensorShapes({ queryCount, keyCount, headDim, valueDim }: AttentionShape) {
  return {
    query: [1, queryCount, headDim],
    key: [1, keyCount, headDim],
    value: [1, keyCount, valueDim],
    output: [1, queryCount, valueDim],
  };
}

/** softmax(q·k / √d) v over the last axis, in float32; sizes are fixed, so that memory can be planned beforehand. */
export function attentionModel(form: ModelForm, shape: AttentionShape): Uint8Array<ArrayBuffer> {
  const shapes = tensorShapes(shape);
  const graph = new MessageWriter().text(GRAPH.name, "attention");
  for (const node of form === "fused" ? fusedNodes() : productNodes()) graph.message(GRAPH.node, node);
  if (form === "products") {
    graph.message(GRAPH.initializer, scalar("scale", 1 / Math.sqrt(shape.headDim)));
  }
  for (const name of MODEL_INPUTS) graph.message(GRAPH.input, tensorInfo(name, shapes[name]));
  graph.message(GRAPH.output, tensorInfo(MODEL_OUTPUT, shapes.output));
  return new MessageWriter()
    .integer(MODEL.irVersion, IR_VERSION)
    .text(MODEL.producerName, "attune")
    .message(MODEL.graph, graph)
    .message(MODEL.opsetImport, opset("", STANDARD_OPSET))
    .message(MODEL.opsetImport, opset(CONTRIBUTED, CONTRIBUTED_OPSET))
    .finish();
}

function fusedNodes(): MessageWriter[] {
  return [
    node("MultiHeadAttention", [...MODEL_INPUTS], MODEL_OUTPUT, integerAttribute("num_heads", 1))
      .text(NODE.domain, CONTRIBUTED),
  ];
}

/** The queries are scaled, not the scores: m·d products instead of m·n. */
function productNodes(): MessageWriter[] {
  return [
    node("Mul", ["query", "scale"], "scaled"),
    node("Transpose", ["key"], "keyColumns", integersAttribute("perm", [0, 2, 1])),
    node("MatMul", ["scaled", "keyColumns"], "scores"),
    node("Softmax", ["scores"], "weights", integerAttribute("axis", 2)),
    node("MatMul", ["weights", "value"], MODEL_OUTPUT),
  ];
}

function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  ...attributes: readonly MessageWriter[]
): MessageWriter {
  const writer = new MessageWriter();
  for (const input of inputs) writer.text(NODE.input, input);
  writer.text(NODE.output, output).text(NODE.operator, operator);
  for (const attribute of attributes) writer.message(NODE.attribute, attribute);
  return writer;
}

function integerAttribute(name: string, value: number): MessageWriter {
  return new MessageWriter()
    .text(ATTRIBUTE.name, name)
    .integer(ATTRIBUTE.integer, value)
    .integer(ATTRIBUTE.type, INTEGER_ATTRIBUTE);
}

function integersAttribute(name: string, values: readonly number[]): MessageWriter {
  const writer = new MessageWriter().text(ATTRIBUTE.name, name);
  for (const value of values) writer.integer(ATTRIBUTE.integers, value);
  return writer.integer(ATTRIBUTE.type, INTEGERS_ATTRIBUTE);
}

/** A constant without dimensions. */
function scalar(name: string, value: number): MessageWriter {
  const raw = new Uint8Array(4);
  new DataView(raw.buffer).setFloat32(0, value, true);
  return new MessageWriter()
    .integer(TENSOR.dataType, FLOAT_ELEMENTS)
    .text(TENSOR.name, name)
    .bytes(TENSOR.rawData, raw);
}

function tensorInfo(name: string, dimensions: readonly number[]): MessageWriter {
  const shape = new MessageWriter();
  for (const size of dimensions) {
    shape.message(SHAPE.dimension, new MessageWriter().integer(DIMENSION.value, size));
  }
  const tensor = new MessageWriter()
    .integer(TENSOR_TYPE.elementType, FLOAT_ELEMENTS)
    .message(TENSOR_TYPE.shape, shape);
  return new MessageWriter()
    .text(VALUE_INFO.name, name)
    .message(VALUE_INFO.type, new MessageWriter().message(TYPE.tensor, tensor));
}

function opset(domain: string, version: number): MessageWriter {
  const writer = new MessageWriter();
  if (domain !== "") writer.text(OPSET.domain, domain);
  return writer.integer(OPSET.version, version);
}
