import { crc32 } from "node:zlib";
import { type EastingError, expected } from "../../errors.js";
import { HEADER, limits, MAGIC, type ValueType, VERSION, valueTypes } from "./format.js";
import { fromHalf } from "./half.js";
import { StructureReader } from "./structure.js";

/** The parts of a model file, its header and checksum found right, and an account of what is taken from them. */
export class ModelSource {
  readonly structure: StructureReader;
  /** Planes that the header announces. */
  readonly planes: number;
  readonly values: ValueType;
  /** Bytes of each part; header and checksum make up the rest. */
  readonly parts: { readonly numbers: number; readonly weights: number; readonly structure: number };
  readonly #view: DataView;
  readonly #numbers: { next: number; readonly end: number };
  readonly #weights: { next: number; readonly end: number; readonly bytes: number };
  #memory: number;

  constructor(
    bytes: Uint8Array,
    private readonly where: string,
  ) {
    const { length } = bytes;
    if (length < HEADER + 4) throw this.fail(`a model of at least ${HEADER + 4} bytes`, `${length} bytes`);
    if (length > limits.file) throw this.fail(`at most ${limits.file} bytes`, `${length} bytes`);
    if (Buffer.from(bytes.buffer, bytes.byteOffset, MAGIC.length).toString("latin1") !== MAGIC)
      throw this.fail("a model", `a file that does not begin with ${MAGIC}`);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, length);
    const version = this.#view.getUint16(8, true);
    if (version !== VERSION) throw this.fail(`model file version ${VERSION}`, `version ${version}`);
    const [announced, numbers, weights, structure, planes] = [12, 16, 20, 24, 28].map((at) =>
      this.#view.getUint32(at, true),
    );
    if (announced !== length) throw this.fail(`${announced} bytes`, `${length} bytes`);
    if (crc32(bytes.subarray(0, -4)) !== this.#view.getUint32(length - 4, true))
      throw this.fail("contents that match their CRC-32", "a different CRC-32");
    // From here on the file is as it was written, but perhaps not by us.
    const type = valueTypes[this.#view.getUint8(10)];
    if (!type || this.#view.getUint8(11) !== 0)
      throw this.fail("weights of type 0 (f32), 1 (f16) or 2 (int8)", this.#view.getUint16(10, true));
    const weightsAt = HEADER + 4 * numbers;
    const weightsEnd = weightsAt + type.bytes * weights;
    const structureAt = 4 * Math.ceil(weightsEnd / 4);
    if (structureAt + structure + 4 !== length)
      throw this.fail(`${structureAt + structure + 4} bytes by the counts in the header`, length);
    if (planes > limits.planes) throw this.fail(`at most ${limits.planes} planes`, planes);
    this.#numbers = { next: HEADER, end: weightsAt };
    this.#weights = { next: weightsAt, end: weightsEnd, bytes: type.bytes };
    this.#memory = 4 * length + limits.memory;
    this.planes = planes;
    this.values = type.name;
    this.parts = { numbers: 4 * numbers, weights: structureAt - weightsAt, structure };
    this.structure = new StructureReader(bytes.subarray(structureAt, structureAt + structure), this.fail);
  }

  readonly fail = (wanted: string, got: unknown): EastingError =>
    expected(
      this.where,
      wanted,
      got,
      "the file is damaged or not for this release, compile it again",
      "EASTING_MODEL_FILE",
    );

  /** Accounts for `bytes` of memory before they are taken. */
  take(bytes: number): void {
    this.#memory -= bytes;
    if (this.#memory < 0)
      throw this.fail(`contents that take at most 4 times the file and ${limits.memory} bytes`, "more");
  }

  /** The next number; −∞ only as a floor. */
  number(floor = false): number {
    if (this.#numbers.next >= this.#numbers.end) throw this.fail("as many numbers as the structure names", "fewer");
    const value = this.#view.getFloat32(this.#numbers.next, true);
    if (!Number.isFinite(value) && !(floor && value === Number.NEGATIVE_INFINITY))
      throw this.fail("finite numbers", value);
    this.#numbers.next += 4;
    return value;
  }

  get weightsLeft(): number {
    if (this.values === "int8") return Number.POSITIVE_INFINITY;
    return (this.#weights.end - this.#weights.next) / this.#weights.bytes;
  }

  weight(): number {
    if (this.values === "int8") return this.structure.integer("weight", "a weight", 127);
    if (this.weightsLeft === 0) throw this.fail("as many weights as the structure names", "fewer");
    const { next, bytes } = this.#weights;
    const value = bytes === 4 ? this.#view.getFloat32(next, true) : fromHalf(this.#view.getUint16(next, true));
    if (!Number.isFinite(value)) throw this.fail("finite weights", value);
    this.#weights.next += bytes;
    return value;
  }

  /** Fails unless everything was taken. */
  finish(planes: number): void {
    const left = this.structure.left + this.#numbers.end - this.#numbers.next + this.#weights.end - this.#weights.next;
    if (left !== 0 || planes !== this.planes)
      throw this.fail(
        `${this.planes} planes and nothing besides`,
        `${planes} planes and ${left} bytes or weights more`,
      );
  }
}
