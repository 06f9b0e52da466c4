import { createHash } from "node:crypto";
import * as disk from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EastingError } from "../../src/errors.js";
import {
  type CheckpointContent,
  canonicalJson,
  decodeCheckpoint,
  encodeCheckpoint,
  type Json,
  type JsonObject,
  readCheckpoint,
  type SectionData,
  writeCheckpoint,
} from "../../src/train/checkpoint.js";
import type { FileSystem, OpenFile } from "../../src/train/durable-file.js";

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

const small: CheckpointContent = {
  header: { step: 123, method: "east", schedule: { beta: 0.5, done: false } },
  sections: new Map<string, SectionData>([
    ["conv1.indices", Int32Array.of(0, 7, 12)],
    ["conv1.values", Float32Array.of(1, -0.5, 0.25)],
  ]),
};

function failure(work: () => unknown): EastingError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(EastingError);
    return error as EastingError;
  }
  throw new Error("nothing was thrown");
}

/** A file with a right digest around any header and data: damage that only the checks behind the digest can find. */
function forge(header: string, data: Uint8Array): Buffer {
  const text = Buffer.from(header);
  const base = Math.ceil((24 + text.length) / 64) * 64;
  const file = Buffer.alloc(base + data.length + 32);
  file.write("EASTCKPT", "latin1");
  file.writeUInt32LE(1, 8);
  file.writeUInt32LE(text.length, 12);
  file.writeBigUInt64LE(BigInt(file.length), 16);
  text.copy(file, 24);
  file.set(data, base);
  createHash("sha256")
    .update(file.subarray(0, -32))
    .digest()
    .copy(file, file.length - 32);
  return file;
}

describe("canonical JSON", () => {
  it("sorts keys at every depth and writes no spaces", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "ü" }], a: true })).toBe('{"a":true,"b":[1,{"c":"ü","d":null}]}');
  });

  it("names the place of what JSON cannot hold", () => {
    const header = (value: unknown) => canonicalJson({ loss: [0, value as Json] }, "header");
    expect(() => header(Number.NaN)).toThrow("header.loss[1]: expected a finite number, got NaN");
    expect(() => header(undefined)).toThrow("header.loss[1]: expected null, a boolean");
    expect(() => header(new Map())).toThrow("got Map");
    expect(() => header(1n)).toThrow("got 1");
  });

  it("equals JSON.parse after JSON.stringify for every value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        expect(JSON.parse(canonicalJson(value as Json))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe("a checkpoint in bytes", () => {
  it("keeps its format: the bytes of version 1 never change", () => {
    const bytes = Buffer.from(encodeCheckpoint(small));
    expect(bytes.subarray(0, 8).toString("latin1")).toBe("EASTCKPT");
    expect(bytes.readUInt32LE(8)).toBe(1);
    const header =
      '{"header":{"method":"east","schedule":{"beta":0.5,"done":false},"step":123},"sections":[' +
      '{"count":3,"dtype":"i32","name":"conv1.indices","offset":0},' +
      '{"count":3,"dtype":"f32","name":"conv1.values","offset":64}]}';
    expect(bytes.subarray(24, 24 + bytes.readUInt32LE(12)).toString()).toBe(header);
    expect([256, 260, 264].map((at) => bytes.readInt32LE(at))).toEqual([0, 7, 12]);
    expect([320, 324, 328].map((at) => bytes.readFloatLE(at))).toEqual([1, -0.5, 0.25]);
    expect(bytes.length).toBe(332 + 32);
    expect(bytes.readBigUInt64LE(16)).toBe(364n);
    expect(bytes.subarray(332).toString("hex")).toBe(hash(bytes.subarray(0, 332)));
  });

  it("gives equal bytes for equal content, in whatever order it was put together", () => {
    const reordered: CheckpointContent = {
      header: { schedule: { done: false, beta: 0.5 }, method: "east", step: 123 },
      sections: new Map([...small.sections].reverse()),
    };
    expect(hash(encodeCheckpoint(reordered))).toBe(hash(encodeCheckpoint(small)));
  });

  it("gives back what was put in, bit by bit, for any content", () => {
    const data = fc.oneof<fc.Arbitrary<SectionData>[]>(
      fc.float32Array({ noDefaultInfinity: false }),
      fc.float64Array(),
      fc.int32Array(),
      fc.uint32Array(),
      fc.uint8Array(),
    );
    const header = fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.parse(JSON.stringify(value)));
    const sections = fc.array(fc.tuple(fc.string(), data), { maxLength: 6 }).map((entries) => new Map(entries));
    fc.assert(
      fc.property(header, sections, (header: JsonObject, sections) => {
        const bytes = encodeCheckpoint({ header, sections });
        const shifted = new Uint8Array(bytes.length + 1).subarray(1); // as a slice of a larger buffer, unaligned
        shifted.set(bytes);
        const back = decodeCheckpoint(shifted, "test");
        expect(canonicalJson(back.header)).toBe(canonicalJson(header));
        expect([...back.sections.keys()]).toEqual([...sections.keys()].sort());
        for (const [name, array] of back.sections) {
          const given = sections.get(name) as SectionData;
          expect(array.constructor).toBe(given.constructor);
          expect(Buffer.from(array.buffer).equals(Buffer.from(given.buffer))).toBe(true);
        }
        expect(hash(encodeCheckpoint(back))).toBe(hash(bytes));
      }),
      { numRuns: 300 },
    );
  });

  it("gives sections that do not change with the bytes they came from", () => {
    const bytes = encodeCheckpoint(small);
    const back = decodeCheckpoint(bytes, "test");
    bytes.fill(255);
    expect(back.sections.get("conv1.indices")).toEqual(Int32Array.of(0, 7, 12));
  });

  it("refuses arrays and headers it cannot keep", () => {
    const sections = new Map([["a", new Float32Array(1)]]) as Map<string, SectionData>;
    sections.set("labels", BigInt64Array.of(1n) as unknown as SectionData);
    expect(() => encodeCheckpoint({ header: {}, sections })).toThrow(
      "checkpoint section labels: expected Float32Array",
    );
    expect(() => encodeCheckpoint({ header: { text: "x".repeat(1 << 20) }, sections: new Map() })).toThrow(
      "checkpoint header: expected at most 1048576 bytes of JSON, got 1048612; put arrays into sections",
    );
  });
});

describe("a damaged checkpoint", () => {
  const bytes = encodeCheckpoint(small);

  it("is found for every bit of every byte", () => {
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Uint8Array.from(bytes);
        damaged[at] ^= 1 << bit;
        const { code } = failure(() => decodeCheckpoint(damaged, "test"));
        expect(code).toMatch(/^EASTING_CHECKPOINT_(INVALID|VERSION)$/);
      }
    }
  });

  it("is found for every length it can be cut to, and for bytes too many", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(failure(() => decodeCheckpoint(bytes.slice(0, length), "test")).code).toBe("EASTING_CHECKPOINT_INVALID");
    }
    expect(() => decodeCheckpoint(bytes.slice(0, 300), "a.ckpt")).toThrow(
      "a.ckpt: expected 364 bytes, got 300 bytes; the file is damaged or no checkpoint, use another one",
    );
    expect(() => decodeCheckpoint(Buffer.concat([bytes, Buffer.alloc(1)]), "test")).toThrow(
      "expected 364 bytes, got 365",
    );
  });

  it("of another version says so", () => {
    const newer = Uint8Array.from(bytes);
    newer[8] = 2;
    const error = failure(() => decodeCheckpoint(newer, "a.ckpt"));
    expect(error.code).toBe("EASTING_CHECKPOINT_VERSION");
    expect(error.message).toBe(
      "a.ckpt: expected checkpoint version 1, got version 2; read it with the release of easting that wrote it",
    );
  });

  it("of another kind says so", () => {
    expect(() => decodeCheckpoint(Buffer.alloc(100), "a.png")).toThrow("got a file that does not begin with EASTCKPT");
  });
});

describe("a forged checkpoint with a right digest", () => {
  const section = (change: object) =>
    JSON.stringify({ header: {}, sections: [{ count: 2, dtype: "f32", name: "w", offset: 0, ...change }] });
  const read = (header: string, data: Uint8Array = new Uint8Array(8)) => decodeCheckpoint(forge(header, data), "test");

  it("is read where it is right", () => {
    expect(read(section({})).sections.get("w")).toEqual(new Float32Array(2));
  });

  it.each([
    ["a section beyond the file", section({ count: 3 })],
    ["a section that does not fill the file", section({ count: 1 })],
    ["a count that would need a huge allocation", section({ count: 2 ** 52 })],
    ["a negative count", section({ count: -2 })],
    ["a count that is no number", section({ count: "2" })],
    ["a gap before a section", section({ offset: 64 })],
    ["an unknown dtype", section({ dtype: "f16" })],
    ["a dtype that is a member of every object", section({ dtype: "constructor" })],
    ["a name that is no string", section({ name: null })],
    [
      "the same name twice",
      JSON.stringify({ header: {}, sections: [1, 2].map(() => JSON.parse(section({ count: 0 })).sections[0]) }),
    ],
    ["no sections", '{"header":{}}'],
    ["a header that is a list", '{"header":[],"sections":[]}'],
    ["a section that is null", '{"header":{},"sections":[null]}'],
    ["no object", "null"],
    ["no JSON", "{"],
    ["deep nesting", `${"[".repeat(500_000)}`],
  ])("is refused with %s", (_, header) => {
    expect(failure(() => read(header)).code).toBe("EASTING_CHECKPOINT_INVALID");
  });

  it("is refused with a header longer than the file", () => {
    const file = forge("{}", new Uint8Array(0));
    file.writeUInt32LE(0xffffffff, 12);
    createHash("sha256")
      .update(file.subarray(0, -32))
      .digest()
      .copy(file, file.length - 32);
    expect(() => decodeCheckpoint(file, "test")).toThrow("expected a header of at most 40 bytes, got 4294967295");
  });

  it("never crashes or pollutes prototypes, whatever the header", () => {
    const header = JSON.stringify({ header: { step: 1 }, sections: JSON.parse(section({})).sections });
    const change = fc.tuple(
      fc.nat(header.length),
      fc.nat(4),
      fc.oneof(fc.string(), fc.constant('"__proto__":{"x":1},')),
    );
    fc.assert(
      fc.property(change, ([at, cut, text]) => {
        try {
          read(header.slice(0, at) + text + header.slice(at + cut));
        } catch (error) {
          expect(error).toBeInstanceOf(EastingError);
        }
        expect("x" in {}).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a checkpoint file", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await disk.mkdtemp(join(tmpdir(), "easting-checkpoint-"));
    path = join(folder, "a.ckpt");
  });
  afterEach(() => disk.rm(folder, { recursive: true }));

  const older: CheckpointContent = { header: { step: 1 }, sections: new Map([["w", new Float32Array(20).fill(1)]]) };
  const newer: CheckpointContent = { header: { step: 2 }, sections: new Map([["w", new Float32Array(30).fill(2)]]) };
  const stepIn = async () => (await readCheckpoint(path)).header.step;

  it("is read as it was written, with the permissions of any other file", async () => {
    await writeCheckpoint(path, older);
    await writeCheckpoint(path, newer);
    expect((await readCheckpoint(path)).sections).toEqual(newer.sections);
    expect(await disk.readdir(folder)).toEqual(["a.ckpt"]);
    const plain = join(folder, "plain");
    await disk.writeFile(plain, "");
    expect((await disk.stat(path)).mode).toBe((await disk.stat(plain)).mode);
  });

  it("that is missing or a folder is named in the error", async () => {
    await expect(readCheckpoint(path)).rejects.toThrow(
      `cannot read checkpoint ${path}: no such file or folder (ENOENT)`,
    );
    await expect(readCheckpoint(folder)).rejects.toMatchObject({ code: "EASTING_CHECKPOINT_READ" });
  });

  it("is written whole where the system takes a few bytes at a time", async () => {
    await writeCheckpoint(path, older, spying({ atOnce: 7 }).fs);
    expect(await stepIn()).toBe(1);
  });

  it.each(["ENOSPC", "EIO", "EDQUOT"])("survives %s at every operation: the old file or the new one", async (code) => {
    const outcomes: [string, unknown][] = [];
    for (let n = 1; ; n++) {
      await writeCheckpoint(path, older);
      const spy = spying({ failAt: n, code, atOnce: 200 });
      const error = await writeCheckpoint(path, newer, spy.fs).then(
        () => null,
        (error) => error,
      );
      if (!spy.failed) {
        expect(error).toBeNull();
        break;
      }
      expect(error).toBeInstanceOf(EastingError);
      expect(error.code).toBe("EASTING_CHECKPOINT_WRITE");
      expect(error.message).toContain(`cannot write checkpoint ${path}: the disk`);
      expect(await disk.readdir(folder)).toEqual(["a.ckpt"]);
      outcomes.push([spy.calls.at(-1) ?? "", await stepIn()]);
      await writeCheckpoint(path, newer); // and the process goes on
    }
    // A failure after the rename cannot take it back; the new file is whole by then.
    const late = ["open folder", "sync folder", "close folder"];
    expect(outcomes.filter(([call]) => !late.includes(call)).every(([, step]) => step === 1)).toBe(true);
    expect(outcomes.filter(([call]) => late.includes(call)).every(([, step]) => step === 2)).toBe(true);
    expect(outcomes.map(([call]) => call)).toEqual(
      expect.arrayContaining(["open temporary", "write", "sync", "close", "rename", "open folder", "sync folder"]),
    );
  });

  it("says in one sentence that the disk is full and what to do", async () => {
    const error = await writeCheckpoint(path, newer, spying({ failAt: 2, code: "ENOSPC" }).fs).catch((error) => error);
    expect(error.message).toBe(
      `cannot write checkpoint ${path}: the disk is full (ENOSPC); earlier checkpoints are untouched, make room or choose another folder`,
    );
    expect(error.cause.code).toBe("ENOSPC");
  });

  it("leaves at most a temporary file where even removing that fails", async () => {
    await writeCheckpoint(path, older);
    await expect(writeCheckpoint(path, newer, spying({ failFrom: 2, code: "EIO" }).fs)).rejects.toThrow(
      "the disk failed",
    );
    const [kept, temporary, ...others] = (await disk.readdir(folder)).sort();
    expect([kept, others]).toEqual(["a.ckpt", []]);
    expect(temporary).toMatch(new RegExp(`^a\\.ckpt\\.tmp-${process.pid}-[0-9a-f]{16}$`));
    expect(await stepIn()).toBe(1);
  });

  it("is old or new after a power loss at any moment, and new once acknowledged", async () => {
    const [before, after] = [encodeCheckpoint(older), encodeCheckpoint(newer)].map((bytes) => Buffer.from(bytes));
    const power = powerLoss(path, before);
    await writeCheckpoint(path, newer, power.fs);
    expect(power.states.length).toBeGreaterThan(10);
    for (const state of power.states) expect(state.equals(before) || state.equals(after)).toBe(true);
    expect(power.statesNow().every((state) => state.equals(after))).toBe(true);
  });
});

interface Faults {
  readonly failAt?: number;
  readonly failFrom?: number;
  readonly code?: string;
  readonly atOnce?: number;
}

/** The disk, with the n-th operation failing; a failing write takes half of its bytes first. */
function spying({ failAt, failFrom, code = "EIO", atOnce = Number.POSITIVE_INFINITY }: Faults) {
  const calls: string[] = [];
  const spy = { calls, failed: false, fs: {} as FileSystem };
  let count = 0;
  const fault = async (call: string, partial?: () => Promise<unknown>) => {
    count += 1;
    if (!spy.failed) calls.push(call);
    if (count !== failAt && !(failFrom !== undefined && count >= failFrom)) return;
    spy.failed = true;
    await partial?.();
    throw Object.assign(new Error(`${code}: injected`), { code });
  };
  spy.fs = {
    async open(path, flags) {
      const kind = flags === "r" ? " folder" : "";
      await fault(`open${kind || " temporary"}`);
      const file = await disk.open(path, flags);
      return {
        async write(data, offset, length, position) {
          await fault("write", () => file.write(data, offset, length >> 1, position));
          return file.write(data, offset, Math.min(length, atOnce), position);
        },
        truncate: (length) => file.truncate(length),
        async sync() {
          await fault(`sync${kind}`);
          await file.sync();
        },
        async close() {
          await file.close();
          await fault(`close${kind}`);
        },
      } satisfies OpenFile;
    },
    async rename(from, to) {
      await fault("rename");
      await disk.rename(from, to);
    },
    async unlink(path) {
      await fault("unlink");
      await disk.unlink(path);
    },
  };
  return spy;
}

/**
 * A disk in memory that may lose power after every operation: of data written since the last sync any prefix or none
 * may have arrived, and of the renames since the last sync of the folder any may be missing.
 */
function powerLoss(target: string, before: Buffer) {
  interface Data {
    cached: Buffer;
    synced: Buffer;
  }
  const now = new Map<string, Data>([[target, { cached: before, synced: before }]]);
  let folders = [new Map(now)]; // what the folder may be after a power loss
  const states: Buffer[] = [];
  const statesNow = () =>
    folders.flatMap((folder) => {
      const data = folder.get(target);
      if (!data) return [Buffer.alloc(0)];
      const tail = data.cached.length - data.synced.length;
      if (tail === 0) return [data.cached];
      return [0, tail >> 1, tail].map((more) => data.cached.subarray(0, data.synced.length + more));
    });
  const record = () => states.push(...statesNow());
  const fs: FileSystem = {
    async open(path, flags) {
      if (flags === "wx") {
        now.set(path, { cached: Buffer.alloc(0), synced: Buffer.alloc(0) });
        folders.push(new Map(now));
      }
      const data = now.get(path);
      record();
      return {
        async write(bytes, offset, length) {
          const taken = Math.min(length, 100);
          if (data) data.cached = Buffer.concat([data.cached, bytes.subarray(offset, offset + taken)]);
          record();
          return { bytesWritten: taken };
        },
        truncate: async () => {},
        async sync() {
          if (data) data.synced = data.cached;
          else folders = [new Map(now)];
          record();
        },
        close: async () => void record(),
      };
    },
    async rename(from, to) {
      now.set(to, now.get(from) as Data);
      now.delete(from);
      folders.push(new Map(now));
      record();
    },
    async unlink(path) {
      now.delete(path);
      folders.push(new Map(now));
      record();
    },
  };
  return { fs, states, statesNow };
}
