import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether a program can be run at all. */
export const available = (tool: string, ...args: string[]): boolean =>
  spawnSync(tool, args.length > 0 ? args : ["--version"], { stdio: "ignore" }).status === 0;

export const strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"];

/** Images on stdin, [h][w][c], to logits on stdout; exits with what the self-test says. */
const main = `#define MODEL_IMPLEMENTATION
#include "model.h"
#include <stdio.h>

int main(void) {
  static uint8_t pixels[MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS];
  while (fread(pixels, 1, sizeof pixels, stdin) == sizeof pixels)
    fwrite(model_run(pixels), 4, MODEL_CLASSES, stdout);
  return model_self_test();
}
`;

/** A folder for one build, gone at the end of `use`. */
export function scratch<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "easting-"));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface CRun {
  readonly logits: ArrayBuffer;
  /** What the self-test said: 0 for good. */
  readonly selfTest: number;
}

/** Compiles a header called "model" and runs it on images [h][w][c], one behind the other. */
export function runHeader(header: Uint8Array, images: Uint8Array, compiler = "gcc", flags = ["-O2"]): CRun {
  return scratch((folder) => {
    writeFileSync(join(folder, "model.h"), header);
    writeFileSync(join(folder, "main.c"), main);
    execFileSync(compiler, [...strict, ...flags, "main.c", "-o", "main"], { cwd: folder });
    const { stdout, status, stderr } = spawnSync(join(folder, "main"), { input: images, maxBuffer: 1 << 28 });
    if (status === null || stderr.length > 0) throw new Error(`the compiled model failed: ${stderr}`);
    return { logits: Uint8Array.from(stdout).buffer, selfTest: status };
  });
}

/** Pixels [c, h, w] as [h, w, c]. */
export function interleaved(pixels: Uint8Array, channels: number): Uint8Array {
  const area = pixels.length / channels;
  return pixels.map((_, i) => pixels[(i % channels) * area + Math.floor(i / channels)]);
}
