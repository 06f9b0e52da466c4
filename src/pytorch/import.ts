import { fromHalf } from "../compile/index.js";
import { expected } from "../errors.js";
import { type Module, Parameter } from "../nn/index.js";
import { Topology } from "../tensor/index.js";
import { torchState, usualName } from "./names.js";
import type { SafetensorsContent, StoredTensor } from "./safetensors.js";

const invalid = (where: string, wanted: string, got: unknown, hint?: string) =>
  expected(where, wanted, got, hint, "EASTING_SAFETENSORS");

/** The tensors of a file by torchvision's names, without what a network in evaluation mode does not need. */
export function usualTensors({ tensors }: SafetensorsContent): Map<string, StoredTensor> {
  const entries = [...tensors].filter(([name]) => !name.endsWith(".num_batches_tracked"));
  return new Map(entries.map(([name, tensor]) => [usualName(name), tensor]));
}

/**
 * Gives a network the weights of a file. A weight with a mask beside it (`<name>_mask`) is sparse where the mask is false; one
 * without a mask but with zeros in half of its places or more is sparse where it is 0.
 */
export function importWeights(model: Module, content: SafetensorsContent, where: string): void {
  const tensors = usualTensors(content);
  const take = (name: string, shape: readonly number[]): StoredTensor | undefined => {
    const tensor = tensors.get(name);
    tensors.delete(name);
    if (tensor && tensor.shape.join() !== shape.join())
      throw invalid(where, `${name} of shape [${shape.join(", ")}]`, `[${tensor.shape.join(", ")}]`);
    return tensor;
  };
  for (const [name, value] of torchState(model)) {
    const tensor = take(name, value.shape);
    const mask = take(`${name}_mask`, value.shape);
    if (!tensor) throw invalid(where, `a tensor ${name}`, "none", "import it into the network that it was trained as");
    const values = toFloat32(name, tensor, where);
    const indices = value instanceof Parameter && value.prunable ? present(values, mask, where) : null;
    if (!indices) (value as Parameter).write(values);
    else
      (value as Parameter).replace(
        new Topology(value.shape, indices),
        Float32Array.from(indices, (i) => values[i]),
      );
  }
  if (tensors.get("fc.bias")?.bytes.every((byte) => byte === 0)) tensors.delete("fc.bias"); // as good as none
  const [rest] = tensors.keys();
  if (rest !== undefined)
    throw invalid(where, "tensors of this network only", rest, "import it into the network that it was trained as");
}

/** Flat positions of the weights that exist; null for a dense weight. */
function present(values: Float32Array, mask: StoredTensor | undefined, where: string): Int32Array | null {
  if (mask && mask.dtype !== "BOOL") throw invalid(where, "masks of type BOOL", mask.dtype);
  const kept = (i: number) => (mask ? mask.bytes[i] !== 0 : values[i] !== 0);
  let count = 0;
  for (let i = 0; i < values.length; i++) if (kept(i)) count++;
  if (!mask && 2 * count > values.length) return null;
  const indices = new Int32Array(count);
  for (let i = 0, k = 0; i < values.length; i++) if (kept(i)) indices[k++] = i;
  return indices;
}

function toFloat32(name: string, { dtype, bytes }: StoredTensor, where: string): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = {
    F32: (i: number) => view.getFloat32(4 * i, true),
    F64: (i: number) => view.getFloat64(8 * i, true),
    F16: (i: number) => fromHalf(view.getUint16(2 * i, true)),
    BF16: (i: number) => upperHalf(view.getUint16(2 * i, true)),
  }[dtype];
  if (!read) throw invalid(where, `${name} of type F32, F64, F16 or BF16`, dtype);
  const size = { F64: 8, F32: 4 }[dtype] ?? 2;
  const values = new Float32Array(bytes.length / size);
  for (let i = 0; i < values.length; i++) {
    values[i] = read(i);
    if (!Number.isFinite(values[i])) throw invalid(where, `finite numbers in ${name}`, values[i]);
  }
  return values;
}

const bits = new DataView(new ArrayBuffer(4));

/** The f32 whose upper 16 bits these are. */
function upperHalf(value: number): number {
  bits.setUint32(0, value * 0x10000);
  return bits.getFloat32(0);
}
