import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { compile, type Graph, type Int8Graph, interpretInt8, quantize } from "../../../src/compile/index.js";
import { c } from "../../../src/compile/targets/c/index.js";
import { testImages } from "../../../src/compile/targets/self-test.js";
import { classNames, imageInput, randomNetwork } from "../networks.js";
import { available, interleaved, runHeader, scratch, strict } from "./c-compiler.js";

let graph: Graph;
let int8: Int8Graph;
/** The headers' text. */
let headers: { readonly f32: string; readonly int8: string };

const text = (options: { int8?: Int8Graph; name?: string } = {}) =>
  new TextDecoder().decode(c.emit(graph, { values: "f32", ...options }));
const bytes = (header: string) => new TextEncoder().encode(header);
const noImages = new Uint8Array(0);

beforeAll(() => {
  const model = randomNetwork({ model: "resnet20", mask: "random", density: 0.004, side: 16, seed: 1 });
  ({ graph } = compile(model, imageInput(16), classNames(10)));
  int8 = quantize(graph, testImages(graph.image));
  headers = { f32: text(), int8: text({ int8 }) };
  model.dispose();
});

const builds = ["gcc", "clang"].flatMap((compiler) =>
  ["-m64", "-m32"].flatMap((bits) => ["-O0", "-O1", "-O2", "-O3"].map((level) => ({ compiler, flags: [bits, level] }))),
);
/** Whether a compiler makes programs that run, which -m32 takes libraries for. */
const able = (compiler: string, flags: readonly string[]) =>
  scratch((folder) => {
    writeFileSync(join(folder, "main.c"), "#include <stdint.h>\n#include <stdio.h>\nint main(void) { return 0; }\n");
    return available(compiler, ...flags, join(folder, "main.c"), "-o", join(folder, "main"));
  });
const here = new Map(
  builds.map(({ compiler, flags: [bits] }) => [`${compiler} ${bits}`, available(compiler) && able(compiler, [bits])]),
);

describe("a header of C", () => {
  for (const { compiler, flags } of builds)
    it.skipIf(!here.get(`${compiler} ${flags[0]}`))(
      `passes its self-test built by ${compiler} ${flags.join(" ")}`,
      () => {
        expect(runHeader(bytes(headers.f32), noImages, compiler, flags).selfTest).toBe(0);
        const image = testImages(graph.image)[1];
        const { logits, selfTest } = runHeader(bytes(headers.int8), interleaved(image, 3), compiler, flags);
        expect(selfTest).toBe(0);
        expect(new Int32Array(logits)).toEqual(interpretInt8(int8, image));
      },
    );

  it.skipIf(!available("gcc"))("does nothing undefined, and reads and writes nothing but its own", () => {
    const flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    for (const header of [headers.f32, headers.int8])
      expect(runHeader(bytes(header), noImages, "gcc", flags).selfTest).toBe(0);
  });

  it.skipIf(!available("g++"))("is C++ too", () => {
    scratch((folder) => {
      writeFileSync(join(folder, "model.h"), headers.int8);
      writeFileSync(
        join(folder, "main.cc"),
        '#define MODEL_IMPLEMENTATION\n#include "model.h"\nint main() { return model_self_test(); }\n',
      );
      execFileSync("g++", ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.cc", "-o", "main"], {
        cwd: folder,
      });
      execFileSync(join(folder, "main"));
    });
  });

  it.skipIf(!available("arm-none-eabi-gcc"))("needs neither heap, nor libm, nor in int8 a float", () => {
    const [f32, integers] = [headers.f32, headers.int8].map((header) =>
      scratch((folder) => {
        writeFileSync(join(folder, "model.h"), header);
        writeFileSync(join(folder, "model.c"), '#define MODEL_IMPLEMENTATION\n#include "model.h"\n');
        // Without a floating-point unit each float would be a call by name.
        execFileSync("arm-none-eabi-gcc", [...strict, "-mcpu=cortex-m3", "-Os", "-c", "model.c"], { cwd: folder });
        return execFileSync("arm-none-eabi-nm", ["--undefined-only", "model.o"], { cwd: folder, encoding: "utf8" });
      }),
    );
    const names = (symbols: string) => [...symbols.matchAll(/U (\S+)/g)].map(([, name]) => name);
    expect(names(integers).filter((name) => !/^mem(set|cpy|move)$/.test(name))).toEqual([]);
    expect(names(f32).filter((name) => !/^(mem(set|cpy|move)|__aeabi_\w+)$/.test(name))).toEqual([]);
  });

  it.skipIf(!available("gcc"))("notices by its self-test when a weight is another", () => {
    const changed = headers.int8.replace(
      /(model_weights\[\] = \{[^}]*?)(-?\d+)(,\n\})/,
      (_, before, weight, after) => `${before}${Number(weight) ^ 16}${after}`,
    );
    expect(changed).not.toBe(headers.int8);
    expect(runHeader(bytes(changed), noImages).selfTest).toBeGreaterThan(0);
  });

  it("has every name behind its own", () => {
    const named = text({ name: "digits" });
    expect(named).toContain("#ifdef DIGITS_IMPLEMENTATION");
    expect(named).toContain("const float* digits_run(const uint8_t* pixels);");
    expect(named).not.toMatch(/\beasting_|\bEASTING_/);
  });

  it("escapes names of classes", () => {
    graph = { ...graph, classes: ['a"b\\', "Käse", "what??!", "\n", ...classNames(6)] };
    expect(text()).toContain('{\n  "a\\042b\\134",\n  "K\\303\\244se",\n  "what\\077\\077!",\n  "\\012",\n');
  });

  it("refuses what it cannot be, in one sentence", () => {
    expect(() => text({ name: "my-model" })).toThrow("c: expected a name of letters, digits and _, got my-model");
    expect(() => c.emit(graph, { values: "f16" })).toThrow(
      "c: expected values of type f32, got f16; leave --values out",
    );
  });

  it("says what it needs before it is flashed", () => {
    const [[, flash], [, ram]] = c.facts?.(graph, { values: "f32", int8 }) ?? [];
    expect(flash).toBe(`${/TABLE_BYTES (\d+)u/.exec(headers.int8)?.[1]} bytes of tables, and 3 to 4 kB of code`);
    expect(ram).toBe(`${/RAM_BYTES (\d+)u/.exec(headers.int8)?.[1]} bytes, static, where pointers have 4 bytes`);
  });
});
