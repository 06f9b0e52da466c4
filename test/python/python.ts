import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestContext } from "vitest";
import { expect } from "vitest";

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const venv = file("../../build/test-venv/bin/python");

/** The packages that each program needs. */
const packages = {
  "run_onnx.py": ["numpy", "onnx", "onnxruntime"],
  "read_safetensors.py": ["numpy", "safetensors"],
  "read_tensorboard.py": ["tensorboard"],
} as const;

/** Runs a program of this folder in Python and returns what it printed; where Python lacks packages, the test is skipped. */
export function python({ skip }: TestContext, program: keyof typeof packages, ...args: string[]): string {
  const { status, stdout } = spawnSync("bash", [file("setup.sh"), ...packages[program]], { encoding: "utf8" });
  if (status !== 0) skip(stdout.trim());
  const ran = spawnSync(venv, [file(program), ...args], { encoding: "utf8", maxBuffer: 1 << 28 });
  expect({ status: ran.status, stderr: ran.stderr }).toEqual({ status: 0, stderr: "" });
  return ran.stdout;
}
