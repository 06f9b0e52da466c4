import { expected } from "../errors.js";

// safetensors (https://github.com/huggingface/safetensors): 8 bytes with the length of the header, the header, which is
// JSON {"name": {"dtype", "shape", "data_offsets": [begin, end]}, …, "__metadata__": {"key": "text"}}, then the data, all
// little-endian. Offsets count from the header's end.

/** Bytes of one element. */
const sizes = new Map<unknown, number>([
  ["BOOL", 1],
  ["U8", 1],
  ["I8", 1],
  ["I16", 2],
  ["U16", 2],
  ["F16", 2],
  ["BF16", 2],
  ["I32", 4],
  ["U32", 4],
  ["F32", 4],
  ["I64", 8],
  ["U64", 8],
  ["F64", 8],
]);
const HEADER_LIMIT = 1 << 20;
const ALIGNMENT = 8;

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface SafetensorsContent {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The bytes of a safetensors file: tensors in order of their names, so equal content means equal bytes. */
export function encodeSafetensors({ tensors, metadata }: SafetensorsContent): Uint8Array {
  const sorted = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  let end = 0;
  const entries = sorted.map(([name, { dtype, shape, bytes }]) => {
    const begin = end;
    end += bytes.length;
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const;
  });
  const text = Buffer.from(
    JSON.stringify({ __metadata__: Object.fromEntries(metadata), ...Object.fromEntries(entries) }),
  );
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const file = Buffer.alloc(8 + length + end);
  file.writeBigUInt64LE(BigInt(length));
  file.fill(" ", 8, 8 + length);
  text.copy(file, 8);
  for (const [i, [, { bytes }]] of sorted.entries()) file.set(bytes, 8 + length + entries[i][1].data_offsets[0]);
  return file;
}

/**
 * Reads a safetensors file; the tensors are views of it. Stricter than the format: a header of 1 MiB at most, known types
 * alone, no name twice, tensors that fill the file without gap or overlap. `where` names the file in errors.
 */
export function decodeSafetensors(bytes: Uint8Array, where: string): SafetensorsContent {
  const damaged = (wanted: string, got: unknown) =>
    expected(where, wanted, got, "the file is damaged or no safetensors file", "EASTING_SAFETENSORS");
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < 8) throw damaged("a header's length in 8 bytes", `${file.length} bytes`);
  const length = file.readBigUInt64LE();
  const limit = Math.min(HEADER_LIMIT, file.length - 8);
  if (length > limit) throw damaged(`a header of at most ${limit} bytes`, length);
  const data = file.subarray(8 + Number(length));
  const { __metadata__: metadata = {}, ...entries } = parseHeader(file.subarray(8, 8 + Number(length)), damaged);
  if (!isObject(metadata) || !Object.values(metadata).every((value) => typeof value === "string"))
    throw damaged("metadata of texts", "something else");
  const tensors = new Map<string, StoredTensor>();
  let end = 0;
  for (const [name, entry] of Object.entries(entries).sort(byOffset)) {
    const { dtype, shape, data_offsets: offsets } = isObject(entry) ? entry : {};
    const size = sizes.get(dtype);
    if (size === undefined) throw damaged(`${quote(name)} of type ${[...sizes.keys()].join(", ")}`, quote(dtype));
    if (!isCounts(shape)) throw damaged(`${quote(name)} with a shape of whole numbers`, quote(shape));
    const count = shape.reduce((product, extent) => product * extent, size);
    if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] !== end || offsets[1] - end !== count)
      throw damaged(`${quote(name)} at ${end} to ${end + count}`, quote(offsets));
    end += count;
    if (end > data.length) throw damaged(`${quote(name)} within ${data.length} bytes of data`, `its end at ${end}`);
    tensors.set(name, { dtype: dtype as string, shape, bytes: data.subarray(offsets[0], end) });
  }
  if (end !== data.length) throw damaged(`${end} bytes of data`, data.length);
  return { tensors, metadata: new Map(Object.entries(metadata) as [string, string][]) };
}

type Fields = { readonly [name: string]: unknown };

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isCounts = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.length <= 8 && value.every((each) => Number.isSafeInteger(each) && each >= 0);

const quote = (value: unknown) => (JSON.stringify(value) ?? String(value)).slice(0, 80);

/** By first byte, an empty tensor before one that begins where it does. */
function byOffset([, a]: [string, unknown], [, b]: [string, unknown]): number {
  const [beginA, endA] = offsetsOf(a);
  const [beginB, endB] = offsetsOf(b);
  return beginA - beginB || endA - endB;
}
const offsetsOf = (entry: unknown): readonly number[] => {
  const offsets = isObject(entry) ? entry.data_offsets : null;
  return isCounts(offsets) && offsets.length === 2 ? offsets : [0, 0];
};

function parseHeader(text: Uint8Array, damaged: (wanted: string, got: unknown) => Error): Fields {
  let header: unknown;
  let json: string;
  try {
    json = new TextDecoder("utf-8", { fatal: true }).decode(text);
    header = JSON.parse(json);
  } catch (error) {
    throw damaged("a header in JSON", (error as Error).message);
  }
  if (!isObject(header)) throw damaged("a header that is an object", quote(header));
  // JSON.parse keeps the last of two equal names: there must be as many in the text as in what it made.
  const texts = json.match(/"(?:[^"\\]|\\.)*"\s*:?/g) ?? [];
  const written = texts.filter((text) => text.endsWith(":")).length;
  const kept = Object.values(header).reduce<number>(
    (sum, value) => sum + countNames(value),
    Object.keys(header).length,
  );
  if (written !== kept) throw damaged("every name once", `${written} names, ${kept} different ones`);
  return header;
}

const countNames = (value: unknown): number => (isObject(value) ? Object.keys(value).length : 0);
