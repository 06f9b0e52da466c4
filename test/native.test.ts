import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { type Kernels, native } from "../src/native.js";

const source = readFileSync(new URL("../src/native.ts", import.meta.url), "utf8");

interface Argument {
  readonly name: string;
  readonly type: string;
}

/** Kernel name → arguments, from the text of an interface. */
function declared(name = "Kernels"): Map<string, Argument[]> {
  const body = new RegExp(`export interface ${name} (?:extends Kernels )?\\{(.*?)\\n\\}`, "s").exec(source)?.[1] ?? "";
  const found = new Map<string, Argument[]>();
  for (const [, name, list] of body.matchAll(/^ {2}(\w+)\(([^)]*)\): void;$/gm))
    found.set(
      name,
      list.split(", ").map((argument) => {
        const [argumentName, type] = argument.split(": ");
        return { name: argumentName, type };
      }),
    );
  return found;
}

const typescript: Readonly<Record<string, string>> = {
  bool: "boolean",
  double: "number",
  int32_t: "number",
  ConvShape: "ConvShape",
  RandomKey: "RandomKey",
  "BatchNormForward<Stored>": "BatchNormForward",
  "BatchNormBackward<Stored>": "BatchNormBackward",
};
const isBuffer = (cpp: string) => /^(In|Out)</.test(cpp);
const isList = (cpp: string) => cpp.startsWith("List<");

/** The C++ argument list `(In<Real> x, bool relu)`, with each type as TypeScript sees it. */
function bound(signature: string): (Argument & { native: string })[] {
  return signature
    .replace(/^\(|\)$/g, "")
    .split(", ")
    .map((argument) => {
      const [type, name] = argument.split(" ");
      const listed = type === "List<int32_t>" ? "readonly number[]" : "readonly Buffer[]";
      const seen = isBuffer(type) ? "Buffer" : isList(type) ? listed : typescript[type];
      return { name, type: seen, native: type };
    });
}

const signatures = Object.entries(native.signatures).map(([name, text]) => [name, bound(text)] as const);

describe("kernels", () => {
  it("have the same names in native.ts as in kernels.def, each with arguments", () => {
    expect([...declared().keys()]).toEqual(Object.keys(native.signatures));
    expect(declared().size).toBeGreaterThan(30);
  });

  it.each(signatures)("%s takes the arguments that native.ts declares, in this order", (name, list) => {
    expect(declared().get(name)).toEqual(list.map((argument) => ({ name: argument.name, type: argument.type })));
  });

  it.skipIf(!native.cudaSignatures)("that CUDA alone has take the arguments that native.ts declares", () => {
    const signatures = Object.entries(native.cudaSignatures ?? {});
    expect([...declared("CudaKernels").keys()]).toEqual(signatures.map(([name]) => name));
    for (const [name, text] of signatures)
      expect(declared("CudaKernels").get(name)).toEqual(
        bound(text).map((argument) => ({ name: argument.name, type: argument.type })),
      );
    for (const kernels of Object.values(native.kernels.cuda ?? {}))
      expect(Object.keys(kernels)).toEqual(Object.keys({ ...native.signatures, ...native.cudaSignatures }));
  });

  it("exist in every number type", () => {
    for (const kernels of [native.kernels.cpu.f32, native.kernels.cpu.bf16, native.kernels.cpu.f64])
      expect(Object.keys(kernels)).toEqual(Object.keys(native.signatures));
  });
});

const type = { f32: 0, f64: 1, i32: 2, u8: 3, bf16: 4 };
const [f32, f64, i32, u8, bf16] = Object.values(type).map((code) => native.alloc(0, code, 64));
const freed = native.alloc(0, type.f32, 64);
native.free(freed);
afterAll(() => {
  native.wait();
  for (const buffer of [f32, f64, i32, u8, bf16]) native.free(buffer);
});

/** Calls with arguments that the types forbid; every one must give an error with this code, and never a crash. */
function expectCode(call: () => unknown, code = "EASTING_INVALID"): void {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(Error);
  expect((thrown as { code?: string }).code).toBe(code);
}

const untyped = (kernels: Kernels, name: string) =>
  (kernels as unknown as Record<string, (...a: unknown[]) => void>)[name];

describe.each(["f32", "bf16", "f64"] as const)("a wrong call of a kernel in %s is an error with a code", (real) => {
  const r = real === "f64" ? f64 : f32;
  const s = { f32, bf16, f64 }[real];
  const fitting: Readonly<Record<string, unknown>> = {
    "In<Real>": r,
    "Out<Real>": r,
    "In<Stored>": s,
    "Out<Stored>": s,
    "In<int32_t>": i32,
    "Out<int32_t>": i32,
    "In<uint8_t>": u8,
    "In<double>": f64,
    "List<In<Real>>": [r, r],
    "List<SgdTensor<Real>>": [r, r, r],
    "List<AdamTensor<Real>>": [r, r, r, r],
    bool: false,
    double: 1,
    int32_t: 1,
    ConvShape: [1, 1, 1, 1, 1, 1, 1, 1, 0],
    RandomKey: [0, 0, 0, 0],
    "BatchNormForward<Stored>": [r, r, r, r, r, r, 1e-5, 0.1, true, true, s, i32, r, s, i32, r],
    // biome-ignore format: the struct's order
    "BatchNormBackward<Stored>": [s, i32, s, i32, s, i32, r, r, r, r, r, true, true, true, i32, i32, r, s, r, r, false],
  };
  const wrong = (cpp: string): unknown[] => {
    if (isBuffer(cpp)) {
      const others = [f32, f64, i32, u8, bf16].filter((buffer) => buffer !== fitting[cpp]);
      return [...others, freed, -1, 1e300, Number.NaN, 12345678, "1", {}, true, Symbol("x"), () => 1];
    }
    if (isList(cpp)) {
      const right = fitting[cpp] as number[];
      const short = right.length > 2 ? [right.slice(1), [...right, r]] : []; // a list of buffers has any length
      return [null, undefined, 7, "list", ...short, right.with(0, freed), right.with(0, i32), right.map(() => "1")];
    }
    if (cpp === "ConvShape" || cpp === "RandomKey") {
      const right = fitting[cpp] as number[];
      return [
        null,
        undefined,
        7,
        "shape",
        [],
        right.slice(1),
        [...right, 0],
        right.map(() => "1"),
        right.map(() => 0.5),
        new Float64Array(right),
      ];
    }
    if (cpp.startsWith("BatchNorm")) {
      const right = fitting[cpp] as unknown[];
      const fields = right.map((_, i) => right.with(i, "1"));
      return [undefined, 7, "norm", {}, [], right.slice(1), [...right, 0], right.with(0, freed), ...fields];
    }
    if (cpp === "bool") return [null, undefined, 0, "true", {}];
    const anyNumber = [null, undefined, "1", {}, [], true, 1n];
    return cpp === "int32_t" ? [...anyNumber, 0.5, 2 ** 31, Number.NaN] : anyNumber;
  };

  it.each(signatures)("%s", (name, list) => {
    const kernel = untyped(native.kernels.cpu[real], name);
    const right = list.map((argument) => fitting[argument.native]);
    expectCode(() => kernel());
    expectCode(() => kernel(...right.slice(1)));
    expectCode(() => kernel(...right, 1));
    for (const [i, argument] of list.entries())
      for (const value of wrong(argument.native)) expectCode(() => kernel(...right.with(i, value)));
  });
});

describe("a wrong call of the addon is an error with a code", () => {
  const addon = native as unknown as Record<string, (...a: unknown[]) => unknown>;

  it.each([
    ["no arguments", []],
    ["a device that is none", [7, 0, 1]],
    ["a negative device", [-1, 0, 1]],
    ["a type that is none", [0, 5, 1]],
    ["a negative type", [0, -1, 1]],
    ["a negative size", [0, 0, -1]],
    ["a fractional size", [0, 0, 1.5]],
    ["a size that is no number", [0, 0, Number.NaN]],
    ["text", ["cpu", "f32", "8"]],
  ])("alloc with %s", (_, list) => {
    expectCode(() => addon.alloc(...list));
  });

  it.each([2 ** 44, 2 ** 52, 2 ** 62, 1e300, Number.POSITIVE_INFINITY])("alloc of %d numbers: no room", (size) => {
    for (const code of [0, 1]) expectCode(() => addon.alloc(0, code, size), "EASTING_OUT_OF_MEMORY");
  });

  it.skipIf(native.devices().cudaBuilt)("alloc on a GPU that this build does not have", () => {
    expectCode(() => addon.alloc(1, 0, 8));
  });

  it.each([[[]], [[null]], [["1"]], [[freed]], [[-5]], [[Number.NaN]], [[Number.POSITIVE_INFINITY]], [[{}]]])(
    "free of %j",
    (list) => {
      expectCode(() => addon.free(...list));
    },
  );

  it("a buffer freed twice", () => {
    const buffer = native.alloc(0, type.u8, 3);
    native.free(buffer);
    expectCode(() => native.free(buffer));
  });

  const block = new Float32Array(64);
  it.each(["upload", "download"])("%s", (name) => {
    const call = addon[name];
    for (const list of [
      [],
      [f32],
      [f32, null, 0],
      [f32, [1, 2], 0],
      [f32, new ArrayBuffer(8), 0],
      [freed, block, 0],
      ["f32", block, 0],
      [f32, block],
      [f32, block, "0"],
      [f32, block, -1],
      [f32, block, 1],
      [f32, block, Number.NaN],
      [f32, block, 1e300],
      [f32, new Float64Array(64), 0],
    ])
      expectCode(() => call(...list));
  });

  it("finished without a function to call", () => {
    for (const list of [[], [null], [7], [{}]]) expectCode(() => addon.finished(...list));
  });

  it("read", () => {
    for (const list of [[], [f32], [f32, null], [freed, () => {}], ["f32", () => {}]])
      expectCode(() => addon.read(...list));
  });

  it("randomBits", () => {
    const words = new Uint32Array(4);
    for (const list of [
      [],
      [[0, 0, 0, 0], null],
      [[0, 0, 0], null, words],
      [["0", 0, 0, 0], null, words],
      [null, null, words],
      [[0, 0, 0, 0], null, [1, 2]],
      [[0, 0, 0, 0], new Int32Array(3), words],
      [[0, 0, 0, 0], 4, words],
      [[0, 0, 0, 0], null, new Uint8Array(3)],
    ])
      expectCode(() => addon.randomBits(...list));
  });

  it.each(["memory", "trim"])("%s of a device that is none", (name) => {
    for (const list of [[], ["cpu"], [null], [9]]) expectCode(() => addon[name](...list));
  });

  it.each([0, -3, 1.5, 1e9, Number.NaN, "2", null])("threads(%s)", (count) => {
    expectCode(() => addon.threads(count));
  });
});

describe("the addon", () => {
  it("says what it runs on", () => {
    const { isa, cudaBuilt, cudaDevices, cudaReason } = native.devices();
    expect(["baseline", "avx2", "avx512"]).toContain(isa);
    expect(cudaDevices.length > 0).toBe(cudaBuilt && cudaReason === "");
  });

  it("returns freed memory to the system on trim", () => {
    const before = native.memory(0);
    native.free(native.alloc(0, type.f32, 3_000_000));
    expect(native.memory(0).live).toBe(before.live);
    expect(native.memory(0).reserved).toBeGreaterThanOrEqual(12_000_000);
    native.trim(0);
    expect(native.memory(0).reserved).toBe(native.memory(0).live);
  });

  it("gives a freed handle's place to a new buffer under another handle", () => {
    const first = native.alloc(0, type.f32, 5);
    native.free(first);
    const second = native.alloc(0, type.f32, 5);
    expect(second).not.toBe(first);
    native.free(second);
  });

  it("copies uploads at once and runs work in order", () => {
    const data = new Float32Array(64).fill(1);
    native.upload(f32, data, 0);
    data.fill(2);
    native.kernels.cpu.f32.scale(f32, 3, f32, false);
    native.upload(f32, Float32Array.of(9), 4 * 63);
    const result = new Float32Array(64);
    native.download(f32, result, 0);
    expect([...result]).toEqual([...new Array(63).fill(3), 9]);
    const tail = new Float32Array(1);
    native.download(f32, tail, 4 * 63);
    expect(tail[0]).toBe(9);
  });
});
