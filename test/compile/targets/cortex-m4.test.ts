import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import {
  compile,
  type Graph,
  type Int8Graph,
  interpret,
  interpretInt8,
  normalized,
  quantize,
} from "../../../src/compile/index.js";
import { c } from "../../../src/compile/targets/c/index.js";
import { testImages } from "../../../src/compile/targets/self-test.js";
import { expectClose } from "../../numbers.js";
import { classNames, imageInput, randomNetwork } from "../networks.js";
import { available, scratch, strict } from "./c-compiler.js";

const compiler = "arm-none-eabi-gcc";
const machine = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"];
const bare = ["-ffreestanding", "-nostartfiles", "-fdata-sections", "-T", "mps2.ld", "-lc", "-lgcc"];
const emulator = [
  ...["-machine", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "none", "-icount", "shift=0"],
  ...["-chardev", "stdio,id=said", "-semihosting-config", "enable=on,target=native,chardev=said"],
];

/** What main.c says when it runs under QEMU. */
interface Report {
  readonly logits: Uint32Array;
  readonly ticks: number;
  /** Ticks that a second run took more. */
  readonly again: number;
  /** Bytes of stack that a run took. */
  readonly stack: number;
  readonly memory: number;
  /** Bytes beside the model's memory that are as they were. */
  readonly guards: number;
  readonly selfTest: number;
  /** Bytes of machine code and constants of the model. */
  readonly flash: number;
}

function emulate(header: Uint8Array, optimization: string): Report {
  return scratch((folder) => {
    for (const file of ["main.c", "mps2.ld"])
      copyFileSync(new URL(`cortex-m4/${file}`, import.meta.url), join(folder, file));
    writeFileSync(join(folder, "model.h"), header);
    writeFileSync(join(folder, "model.c"), '#define MODEL_IMPLEMENTATION\n#include "model.h"\n');
    const inFolder = { cwd: folder, encoding: "utf8" as const };
    execFileSync(compiler, [...strict, ...machine, optimization, "-c", "model.c", "-o", "model.o"], inFolder);
    const [, text] = execFileSync("arm-none-eabi-size", ["model.o"], inFolder).split("\n");
    execFileSync(compiler, [...machine, optimization, "main.c", ...bare, "-o", "model.elf"], inFolder);
    const said = execFileSync("qemu-system-arm", [...emulator, "-kernel", "model.elf"], {
      ...inFolder,
      timeout: 60_000,
    });
    const lines = said
      .trim()
      .split("\n")
      .map((line) => line.split(" "));
    const numbers = (what: string) => lines.filter(([name]) => name === what).map(([, value]) => Number(value));
    return {
      logits: Uint32Array.from(numbers("logit")),
      ticks: numbers("ticks")[0],
      again: numbers("again")[0],
      stack: numbers("stack")[0],
      memory: numbers("memory")[0],
      guards: numbers("guards")[0],
      selfTest: numbers("test")[0],
      flash: Number(text.trim().split(/\s+/)[0]),
    };
  });
}

const defined = (header: Uint8Array, name: string) =>
  Number(new RegExp(`#define MODEL_${name} (\\d+)u`).exec(new TextDecoder().decode(header))?.[1]);

const here = available(compiler) && available("qemu-system-arm");

describe.skipIf(!here)("on a Cortex-M4 emulated by QEMU", () => {
  let graph: Graph;
  let int8: Int8Graph;
  const image = () => testImages(graph.image)[0];

  beforeAll(() => {
    const model = randomNetwork({ model: "resnet20", mask: "live", count: 600, side: 16, seed: 2 });
    ({ graph } = compile(model, imageInput(16), classNames(10)));
    int8 = quantize(graph, testImages(graph.image));
    model.dispose();
  });

  it.each(["-O0", "-Os", "-O2", "-O3"])(
    "int8 gives the same logits within the planned memory, built with %s",
    (level) => {
      const header = c.emit(graph, { values: "f32", int8 });
      const { logits, again, ticks, stack, memory, guards, selfTest, flash } = emulate(header, level);
      expect(Int32Array.from(logits)).toEqual(interpretInt8(int8, image()));
      expect({ selfTest, guards, again }).toEqual({ selfTest: 0, guards: 512, again: 0 });
      expect(memory).toBe(defined(header, "RAM_BYTES"));
      expect(stack).toBeLessThanOrEqual(defined(header, "STACK_BYTES"));
      expect(ticks).toBeGreaterThan(0);
      const code = flash - defined(header, "TABLE_BYTES");
      if (level === "-Os") expect(code).toBeLessThan(4000);
    },
  );

  it("takes the same ticks whenever it is run", () => {
    const header = c.emit(graph, { values: "f32", int8 });
    expect(emulate(header, "-O2").ticks).toBe(emulate(header, "-O2").ticks);
  });

  it("f32 gives the same logits to 1e-5", () => {
    const header = c.emit(graph, { values: "f32" });
    const { logits, stack, memory, guards, selfTest } = emulate(header, "-O2");
    expectClose(new Float32Array(logits.buffer), interpret(graph, normalized(graph, image())), { relative: 1e-5 });
    expect({ selfTest, guards, memory }).toEqual({ selfTest: 0, guards: 512, memory: defined(header, "RAM_BYTES") });
    expect(stack).toBeLessThanOrEqual(defined(header, "STACK_BYTES"));
  });
});
