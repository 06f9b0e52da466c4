import { createHash } from "node:crypto";
import { type EastingError, expected } from "../errors.js";
import { type FileSystem, fileError, readWhole, replaceFile } from "./durable-file.js";

// The file, little-endian throughout (as is every platform easting is built for):
//
//   0   magic "EASTCKPT"
//   8   version, u32
//   12  header length, u32
//   16  length of the whole file, u64
//   24  header, canonical JSON: {"header": …, "sections": [{"count", "dtype", "name", "offset"}, …]}
//   …   sections, each on a 64-byte boundary, sorted by name; offsets count from the first boundary after the header
//   …   SHA-256 of everything before
//
// Nothing but the content goes into it, so equal content means equal bytes.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };
export type SectionData = Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array;

export interface CheckpointContent {
  /** Small state: step, schedules, random counters, hashes. Finite numbers only. */
  readonly header: JsonObject;
  /** Large state by name: weights, indices, momentum, running statistics. */
  readonly sections: ReadonlyMap<string, SectionData>;
}

interface Section {
  readonly name: string;
  readonly dtype: string;
  readonly count: number;
  readonly offset: number;
}

const MAGIC = Buffer.from("EASTCKPT", "latin1");
const VERSION = 1;
const PREAMBLE = 24;
const DIGEST = 32;
const ALIGNMENT = 64;
const HEADER_LIMIT = 1 << 20;

const ARRAYS = new Map<unknown, new (buffer: ArrayBuffer) => SectionData>([
  ["f32", Float32Array],
  ["f64", Float64Array],
  ["i32", Int32Array],
  ["u32", Uint32Array],
  ["u8", Uint8Array],
]);
const DTYPES = new Map([...ARRAYS].map(([dtype, array]) => [array.name, dtype as string]));
const BYTES = new Map<unknown, number>([
  ["f32", 4],
  ["f64", 8],
  ["i32", 4],
  ["u32", 4],
  ["u8", 1],
]);

const align = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

/** JSON with sorted keys and no spaces: equal values give equal text. `where` names the value in errors. */
export function canonicalJson(value: Json, where = "value"): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw expected(where, "a finite number", value);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item, i) => canonicalJson(item, `${where}[${i}]`)).join(",")}]`;
  const prototype = typeof value === "object" ? Object.getPrototypeOf(value) : undefined;
  if (prototype !== Object.prototype && prototype !== null) {
    throw expected(where, "null, a boolean, number, string, array or plain object", describe(value));
  }
  const object = value as JsonObject;
  const members = Object.keys(object).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key], `${where}.${key}`)}`).join(",")}}`;
}

/** The bytes of a checkpoint file. They depend on the content alone, not on the order of keys or sections. */
export function encodeCheckpoint(content: CheckpointContent): Uint8Array {
  const sections: Section[] = [];
  let end = 0;
  for (const name of [...content.sections.keys()].sort()) {
    const data = content.sections.get(name) as SectionData;
    const dtype = DTYPES.get(data?.[Symbol.toStringTag]);
    if (dtype === undefined)
      throw expected(`checkpoint section ${name}`, [...DTYPES.keys()].join(", "), describe(data));
    const offset = align(end);
    sections.push({ name, dtype, count: data.length, offset });
    end = offset + data.byteLength;
  }
  const header = Buffer.from(
    `{"header":${canonicalJson(content.header, "checkpoint header")},"sections":${canonicalJson(sections as unknown as Json)}}`,
  );
  if (header.length > HEADER_LIMIT) {
    const hint = "put arrays into sections";
    throw expected("checkpoint header", `at most ${HEADER_LIMIT} bytes of JSON`, header.length, hint);
  }
  const base = align(PREAMBLE + header.length);
  const bytes = Buffer.alloc(base + end + DIGEST);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(header.length, 12);
  bytes.writeBigUInt64LE(BigInt(bytes.length), 16);
  header.copy(bytes, PREAMBLE);
  for (const { name, offset } of sections) {
    const data = content.sections.get(name) as SectionData;
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), base + offset);
  }
  sha256(bytes.subarray(0, -DIGEST)).copy(bytes, bytes.length - DIGEST);
  return bytes;
}

/**
 * Reads the bytes of a checkpoint file; the sections are copies. Every size is checked before it is used, and any
 * changed byte is found. `where` names the file in errors.
 */
export function decodeCheckpoint(bytes: Uint8Array, where: string): CheckpointContent {
  const damaged = (wanted: string, got: unknown) =>
    expected(where, wanted, got, "the file is damaged or no checkpoint, use another one", "EASTING_CHECKPOINT_INVALID");
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < PREAMBLE + DIGEST) {
    throw damaged(`a checkpoint of at least ${PREAMBLE + DIGEST} bytes`, `${file.length} bytes`);
  }
  if (!file.subarray(0, 8).equals(MAGIC)) throw damaged("a checkpoint", "a file that does not begin with EASTCKPT");
  const version = file.readUInt32LE(8);
  if (version !== VERSION) {
    const hint = "read it with the release of easting that wrote it";
    throw expected(where, `checkpoint version ${VERSION}`, `version ${version}`, hint, "EASTING_CHECKPOINT_VERSION");
  }
  const length = file.readBigUInt64LE(16);
  if (length !== BigInt(file.length)) throw damaged(`${length} bytes`, `${file.length} bytes`);
  if (!sha256(file.subarray(0, -DIGEST)).equals(file.subarray(-DIGEST))) {
    throw damaged("contents that match their SHA-256", "a different SHA-256");
  }
  // From here on the file is as it was written, but perhaps not by us.
  const limit = file.length - DIGEST;
  const headerLength = file.readUInt32LE(12);
  if (headerLength > HEADER_LIMIT || PREAMBLE + headerLength > limit) {
    throw damaged(`a header of at most ${Math.min(HEADER_LIMIT, limit - PREAMBLE)} bytes`, headerLength);
  }
  const { header, sections } = parseHeader(file.subarray(PREAMBLE, PREAMBLE + headerLength), damaged);
  const base = align(PREAMBLE + headerLength);
  const result = new Map<string, SectionData>();
  let end = 0;
  let previous: string | undefined;
  for (const { name, dtype, count, offset } of sections) {
    const size = BYTES.get(dtype);
    if (typeof name !== "string" || (previous !== undefined && name <= previous) || size === undefined) {
      throw damaged("sections of known dtype, sorted by name", `${describe(name)} of dtype ${describe(dtype)}`);
    }
    if (!Number.isSafeInteger(count) || count < 0 || offset !== align(end) || base + offset + count * size > limit) {
      throw damaged(`section ${name} at ${align(end)} within ${limit - base} bytes`, `${count} ${dtype} at ${offset}`);
    }
    end = offset + count * size;
    const data = new Uint8Array(count * size);
    data.set(file.subarray(base + offset, base + end));
    const array = ARRAYS.get(dtype) as new (buffer: ArrayBuffer) => SectionData;
    result.set(name, new array(data.buffer));
    previous = name;
  }
  if (base + end !== limit) throw damaged(`sections that fill ${limit - base} bytes`, `${end} bytes`);
  return { header, sections: result };
}

function parseHeader(
  text: Uint8Array,
  damaged: (wanted: string, got: unknown) => EastingError,
): { header: JsonObject; sections: readonly Section[] } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch (error) {
    throw damaged("a header in JSON", (error as Error).message);
  }
  const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  const { header, sections } = (isObject(parsed) ? parsed : {}) as { header?: unknown; sections?: unknown };
  if (!isObject(header) || !Array.isArray(sections) || !sections.every(isObject)) {
    throw damaged("a header with the members header and sections", describe(parsed));
  }
  return { header: header as JsonObject, sections };
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value !== "object" || value === null) return String(value);
  return value.constructor?.name ?? "an object";
}

/** Writes a checkpoint file in one step; on failure the old file, if any, is untouched. */
export async function writeCheckpoint(path: string, content: CheckpointContent, fs?: FileSystem): Promise<void> {
  await writeCheckpointBytes(path, encodeCheckpoint(content), fs);
}

/** As `writeCheckpoint`, from the result of `encodeCheckpoint`. */
export async function writeCheckpointBytes(path: string, bytes: Uint8Array, fs?: FileSystem): Promise<void> {
  try {
    await replaceFile(path, bytes, fs);
  } catch (error) {
    const hint = "earlier checkpoints are untouched, make room or choose another folder";
    throw fileError("EASTING_CHECKPOINT_WRITE", "write checkpoint", path, error, hint);
  }
}

/** Reads and fully verifies a checkpoint file. */
export async function readCheckpoint(path: string): Promise<CheckpointContent> {
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(path);
  } catch (error) {
    throw fileError("EASTING_CHECKPOINT_READ", "read checkpoint", path, error);
  }
  return decodeCheckpoint(bytes, path);
}
