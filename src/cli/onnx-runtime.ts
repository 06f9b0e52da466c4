import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Graph, targets } from "../compile/index.js";

const program = `
import sys, time, statistics
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
entry = session.get_inputs()[0]
image = {entry.name: numpy.random.rand(1, *entry.shape[1:]).astype(numpy.float32)}
for _ in range(3): session.run(None, image)
times, begin = [], time.perf_counter()
while len(times) < 3 or time.perf_counter() - begin < float(sys.argv[3]) / 1e3:
    start = time.perf_counter()
    session.run(None, image)
    times.append((time.perf_counter() - start) * 1e3)
print(statistics.median(times))
`;

/** Median time of ONNX Runtime for one image, in milliseconds, or why there is none. */
export function onnxRuntimeMilliseconds(graph: Graph, threads: number, milliseconds: number): number | string {
  const target = targets.find(({ name }) => name === "onnx");
  if (!target) return "expected the onnx target, got none";
  const folder = mkdtempSync(join(tmpdir(), "easting-bench-"));
  try {
    const path = join(folder, "model.onnx");
    writeFileSync(path, target.emit(graph, { values: "f32" }));
    const args = ["-c", program, path, String(threads), String(milliseconds)];
    const { status, stdout, stderr, error } = spawnSync("python3", args, { encoding: "utf8" });
    if (status === 0) return Number(stdout);
    const why = error?.message ?? stderr.trim().split("\n").at(-1);
    return `expected python3 with onnxruntime and numpy, got: ${why}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
