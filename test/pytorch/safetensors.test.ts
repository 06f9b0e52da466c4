import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EastingError } from "../../src/errors.js";
import { decodeSafetensors, encodeSafetensors, type SafetensorsContent } from "../../src/pytorch/index.js";

const content: SafetensorsContent = {
  tensors: new Map([
    ["weight", { dtype: "F32", shape: [2], bytes: new Uint8Array(Float32Array.of(1, -2).buffer) }],
    ["empty", { dtype: "I64", shape: [0, 3], bytes: new Uint8Array(0) }],
    ["mask", { dtype: "BOOL", shape: [3], bytes: Uint8Array.of(1, 0, 1) }],
  ]),
  metadata: new Map([["format", 'a \\" : "b']]),
};

/** A file with this header, which may say anything, and so many bytes of data. */
function file(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const text = typeof header === "string" ? Buffer.from(header) : header;
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([start, text, Buffer.alloc(data)]);
}

const tensor = (dtype: string, shape: unknown, ...offsets: unknown[]) =>
  JSON.stringify({ dtype, shape, data_offsets: offsets });

describe("a safetensors file", () => {
  it("holds tensors in order of their names behind a header padded to 8 bytes", () => {
    const bytes = encodeSafetensors(content);
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    expect(JSON.parse(Buffer.from(bytes.subarray(8, 8 + length)).toString())).toEqual({
      __metadata__: { format: 'a \\" : "b' },
      empty: { dtype: "I64", shape: [0, 3], data_offsets: [0, 0] },
      mask: { dtype: "BOOL", shape: [3], data_offsets: [0, 3] },
      weight: { dtype: "F32", shape: [2], data_offsets: [3, 11] },
    });
    expect([...bytes.subarray(8 + length)]).toEqual([1, 0, 1, 0, 0, 128, 63, 0, 0, 0, 192]);
  });

  it("gives back what was put in", () => {
    const read = decodeSafetensors(encodeSafetensors(content), "x");
    expect(read.metadata).toEqual(content.metadata);
    for (const [name, { dtype, shape, bytes }] of content.tensors) {
      expect(read.tensors.get(name)).toMatchObject({ dtype, shape });
      expect([...(read.tensors.get(name)?.bytes ?? [])]).toEqual([...bytes]);
    }
  });
});

describe("a safetensors file is refused", () => {
  it.each<[string, Uint8Array, RegExp]>([
    ["that ends within the header's length", Uint8Array.of(1, 0, 0), /expected a header's length in 8 bytes, got 3/],
    ["whose header would end behind the file", file("{}", 0, 3n), /expected a header of at most 2 bytes, got 3/],
    ["whose header's length wraps around", file("{}", 0, 2n ** 64n - 1n), /got 18446744073709551615/],
    ["with a header above 1 MiB", file(" ".repeat(2 ** 20 + 1)), /expected a header of at most 1048576 bytes/],
    ["with a header that is no UTF-8", file(Uint8Array.of(34, 255, 34)), /expected a header in JSON/],
    ["with a header that is no JSON", file("{"), /expected a header in JSON/],
    ["with a header that is no object", file("[1]"), /expected a header that is an object, got \[1\]/],
    ["with a tensor that is no object", file('{"a":1}'), /expected "a" of type BOOL, .*, got undefined/],
    ["with a type it does not know", file(`{"a":${tensor("F4", [1], 0, 1)}}`, 1), /expected "a" of type .*, got "F4"/],
    [
      "with the name of something inherited as type",
      file(`{"a":${tensor("toString", [1], 0, 1)}}`, 1),
      /got "toString"/,
    ],
    ["with a shape below 0", file(`{"a":${tensor("U8", [-1], 0, 1)}}`, 1), /a shape of whole numbers, got \[-1\]/],
    ["with a shape that is no list", file(`{"a":${tensor("U8", 1, 0, 1)}}`, 1), /a shape of whole numbers, got 1/],
    ["with fewer bytes than its shape needs", file(`{"a":${tensor("F32", [2], 0, 4)}}`, 4), /expected "a" at 0 to 8/],
    [
      "with a shape too large to count",
      file(`{"a":${tensor("U8", [2 ** 52, 2 ** 52], 0, 1)}}`, 1),
      /expected "a" at 0/,
    ],
    ["with data behind the file", file(`{"a":${tensor("U8", [9], 0, 9)}}`, 8), /expected "a" within 8 bytes of data/],
    ["with offsets that are no two numbers", file(`{"a":${tensor("U8", [1], "0", 1)}}`, 1), /got \["0",1\]/],
    [
      "with tensors that overlap",
      file(`{"a":${tensor("U8", [2], 0, 2)},"b":${tensor("U8", [2], 1, 3)}}`, 3),
      /expected "b" at 2 to 4, got \[1,3\]/,
    ],
    [
      "with a gap",
      file(`{"a":${tensor("U8", [1], 0, 1)},"b":${tensor("U8", [1], 2, 3)}}`, 3),
      /expected "b" at 1 to 2, got \[2,3\]/,
    ],
    ["with data that no tensor names", file(`{"a":${tensor("U8", [1], 0, 1)}}`, 2), /expected 1 bytes of data, got 2/],
    [
      "that names a tensor twice",
      file(`{"a":${tensor("U8", [1], 0, 1)},"a":${tensor("U8", [1], 0, 1)}}`, 1),
      /expected every name once, got 8 names, 4 different ones/,
    ],
    ["with metadata that is no text", file('{"__metadata__":{"a":1}}'), /expected metadata of texts/],
  ])("%s", (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes, "x.safetensors")).toThrow(message);
    expect(() => decodeSafetensors(bytes, "x.safetensors")).toThrow(EastingError);
  });

  it("or read, but never more than an error, with any bytes in it", () => {
    const whole = encodeSafetensors(content);
    fc.assert(
      fc.property(
        fc.nat(whole.length - 1),
        fc.uint8Array({ minLength: 1, maxLength: 6 }),
        fc.nat(whole.length),
        (at, bytes, length) => {
          const copy = whole.slice(0, Math.max(length, at + bytes.length));
          copy.set(bytes.subarray(0, copy.length - at), at);
          try {
            const { tensors } = decodeSafetensors(copy, "x");
            for (const { bytes } of tensors.values()) expect(bytes.length).toBeLessThanOrEqual(copy.length);
          } catch (error) {
            expect(error).toMatchObject({ code: "EASTING_SAFETENSORS" });
          }
        },
      ),
      { numRuns: 5000, seed: 1 },
    );
  });
});
