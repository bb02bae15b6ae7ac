// The two forms in which ONNX Runtime is asked for attention, as bytes of a model: its own fused operator
// MultiHeadAttention, and the product, softmax and product that a converted network has.

import { BinaryWriter, WireType } from "protobuf/wire";

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

/**
 * softmax(q·k / √d) v over the last axis, in float32; sizes are fixed, so that memory can be planned
 * beforehand.
 */
export function attentionModel(form: ModelForm, shape: AttentionShape): Uint8Array<ArrayBuffer> {
  const shapes = tensorShapes(shape);
  const nodes = form === "fused" ? fusedNodes() : productNodes();
  return message(
    [MODEL.irVersion, IR_VERSION],
    [MODEL.producerName, "attune"],
    [
      MODEL.graph,
      message(
        [GRAPH.name, "attention"],
        ...nodes.map((node): Field => [GRAPH.node, node]),
        ...form === "fused"
          ? []
          : [[GRAPH.initializer, scalar("scale", 1 / Math.sqrt(shape.headDim))] as const],
        ...MODEL_INPUTS.map((name): Field => [GRAPH.input, tensorInfo(name, shapes[name])]),
        [GRAPH.output, tensorInfo(MODEL_OUTPUT, shapes.output)],
      ),
    ],
    [MODEL.opsetImport, message([OPSET.version, STANDARD_OPSET])],
    [
      MODEL.opsetImport,
      message([OPSET.domain, CONTRIBUTED], [OPSET.version, CONTRIBUTED_OPSET]),
    ],
  );
}

/** A field of a message: a non-negative integer, a text, or bytes, which may be a message. */
type Field = readonly [number: number, value: number | string | Uint8Array];

/** A message of fields, in their order. */
function message(...fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === "number") writer.tag(number, WireType.Varint).uint64(value);
    else if (typeof value === "string") writer.tag(number, WireType.LengthDelimited).string(value);
    else writer.tag(number, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}

function fusedNodes(): Uint8Array[] {
  const heads = message(
    [ATTRIBUTE.name, "num_heads"],
    [ATTRIBUTE.integer, 1],
    [ATTRIBUTE.type, INTEGER_ATTRIBUTE],
  );
  return [node("MultiHeadAttention", MODEL_INPUTS, MODEL_OUTPUT, [NODE.attribute, heads], [
    NODE.domain,
    CONTRIBUTED,
  ])];
}

/** The queries are scaled, not the scores: m·d products instead of m·n. */
function productNodes(): Uint8Array[] {
  const order = message(
    [ATTRIBUTE.name, "perm"],
    ...[0, 2, 1].map((axis): Field => [ATTRIBUTE.integers, axis]),
    [ATTRIBUTE.type, INTEGERS_ATTRIBUTE],
  );
  const lastAxis = message(
    [ATTRIBUTE.name, "axis"],
    [ATTRIBUTE.integer, 2],
    [ATTRIBUTE.type, INTEGER_ATTRIBUTE],
  );
  return [
    node("Mul", ["query", "scale"], "scaled"),
    node("Transpose", ["key"], "keyColumns", [NODE.attribute, order]),
    node("MatMul", ["scaled", "keyColumns"], "scores"),
    node("Softmax", ["scores"], "weights", [NODE.attribute, lastAxis]),
    node("MatMul", ["weights", "value"], MODEL_OUTPUT),
  ];
}

function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  ...more: readonly Field[]
): Uint8Array {
  return message(
    ...inputs.map((input): Field => [NODE.input, input]),
    [NODE.output, output],
    [NODE.operator, operator],
    ...more,
  );
}

/** A constant without dimensions. */
function scalar(name: string, value: number): Uint8Array {
  const raw = new Uint8Array(4);
  new DataView(raw.buffer).setFloat32(0, value, true);
  return message([TENSOR.dataType, FLOAT_ELEMENTS], [TENSOR.name, name], [TENSOR.rawData, raw]);
}

function tensorInfo(name: string, dimensions: readonly number[]): Uint8Array {
  const sizes = dimensions.map((size): Field => [SHAPE.dimension, message([DIMENSION.value, size])]);
  const tensor = message([TENSOR_TYPE.elementType, FLOAT_ELEMENTS], [TENSOR_TYPE.shape, message(...sizes)]);
  return message([VALUE_INFO.name, name], [VALUE_INFO.type, message([TYPE.tensor, tensor])]);
}
