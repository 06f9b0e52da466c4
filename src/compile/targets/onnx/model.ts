import { bytes, concatenate, integer, message } from "../../../protobuf.js";

// Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), IR version 7 with opset 13:
// what every runtime since 2021 reads, and the first with all that is used here.
const IR_VERSION = 7;
const OPSET = 13;
const [FLOAT, INT64] = [1, 7];
const [INT_ATTRIBUTE, INTS_ATTRIBUTE] = [2, 7];

export type Attributes = { readonly [name: string]: number | readonly number[] };

/** A NodeProto in a GraphProto. */
export const node = (op: string, inputs: readonly string[], output: string, attributes: Attributes = {}): Uint8Array =>
  message(
    1,
    ...inputs.map((name) => bytes(1, name)),
    bytes(2, output),
    bytes(3, output),
    bytes(4, op),
    ...Object.entries(attributes).map(([name, value]) =>
      typeof value === "number"
        ? message(5, bytes(1, name), integer(3, value), integer(20, INT_ATTRIBUTE))
        : message(5, bytes(1, name), ...value.map((each) => integer(8, each)), integer(20, INTS_ATTRIBUTE)),
    ),
  );

const dimensions = (shape: readonly number[]) => shape.map((extent) => integer(1, extent));

// Raw data is little-endian, as is every platform easting is built for.
const raw = (data: Float32Array | BigInt64Array) =>
  bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));

const floatTensor = (name: string, shape: readonly number[], values: Float32Array) => [
  ...dimensions(shape),
  integer(2, FLOAT),
  bytes(8, name),
  raw(values),
];

const integerTensor = (name: string, values: readonly number[]) => [
  ...dimensions([values.length]),
  integer(2, INT64),
  bytes(8, name),
  raw(BigInt64Array.from(values, BigInt)),
];

/** A TensorProto in a GraphProto: a constant. */
export const floats = (name: string, shape: readonly number[], values: Float32Array): Uint8Array =>
  message(5, ...floatTensor(name, shape, values));
export const integers = (name: string, values: readonly number[]): Uint8Array =>
  message(5, ...integerTensor(name, values));

/** A SparseTensorProto in a GraphProto, from the values that are not 0 and their flat positions, ascending. */
export function sparseFloats(name: string, shape: readonly number[], dense: Float32Array): Uint8Array {
  const positions = [...dense.keys()].filter((i) => dense[i] !== 0);
  const values = Float32Array.from(positions, (i) => dense[i]);
  return message(
    15,
    message(1, ...floatTensor(name, [positions.length], values)),
    message(2, ...integerTensor(`${name}.indices`, positions)),
    ...shape.map((extent) => integer(3, extent)),
  );
}

export interface Port {
  readonly name: string;
  /** Numbers, or names for extents that are free. */
  readonly shape: readonly (number | string)[];
  readonly description: string;
}

/** A ValueInfoProto: an input (11) or output (12) of a GraphProto, in f32. */
const port = (field: number, { name, shape, description }: Port) => {
  const extents = shape.map((extent) => message(1, typeof extent === "number" ? integer(1, extent) : bytes(2, extent)));
  return message(
    field,
    bytes(1, name),
    message(2, message(1, integer(1, FLOAT), message(2, ...extents))),
    bytes(3, description),
  );
};

export interface ModelParts {
  readonly version: string;
  /** Nodes in the order in which they run, and constants. */
  readonly fields: readonly Uint8Array[];
  readonly input: Port;
  readonly output: Port;
  readonly metadata: { readonly [key: string]: string };
}

/** The bytes of a ModelProto. */
export const model = ({ version, fields, input, output, metadata }: ModelParts): Uint8Array =>
  concatenate([
    integer(1, IR_VERSION),
    bytes(2, "easting"),
    bytes(3, version),
    message(7, ...fields, bytes(2, "easting"), port(11, input), port(12, output)),
    message(8, bytes(1, ""), integer(2, OPSET)),
    ...Object.entries(metadata).map(([key, value]) => message(14, bytes(1, key), bytes(2, value))),
  ]);
