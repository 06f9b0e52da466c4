// What compute-sanitizer watches (scripts/gpu-verify.cjs): every kernel at small sizes, and a few steps of EAST on digits
// with two changes of topology, in f32 and bf16. Ends with 0 and "every kernel ran" if all of it went through.
import { digitsDataset, train, useDevice } from "easting";
import { bind } from "../../bench/kernel-call.mjs";
import { Buffers, cases, small } from "../../bench/kernel-cases.mjs";
import { native } from "../../dist/native.js";

const { reason } = useDevice("cuda");
const names = Object.keys(native.signatures); // what NVIDIA's libraries compute, they answer for
const ran = new Set();
for (const { kernel, args } of cases(small)) {
  const buffers = new Buffers();
  bind(kernel, args(buffers))();
  native.wait();
  buffers.dispose();
  ran.add(kernel);
}
process.stdout.write(`${ran.size} of ${names.length} kernels on ${reason}\n`);

const data = digitsDataset();
const short = { epochs: 6, batch: 8, cycleUpdateEvery: 3, updateEvery: 3 };
// By the fused kernels: no library of NVIDIA's is to be watched.
const config = { model: "resnet20", method: "east", sparsity: 95, seed: 5, conv: "fused", ...short };
for (const storage of ["f32", "bf16"]) {
  const seen = { step: 0, topology: 0 };
  for await (const { type } of train({ ...config, storage }, data, { device: "cuda", stopAfter: 7 }))
    if (type in seen) seen[type]++;
  process.stdout.write(`${storage}: ${seen.step} steps, ${seen.topology} changes of topology\n`);
  if (seen.step < 7 || seen.topology < 2) process.exitCode = 1;
}
const missing = names.filter((name) => !ran.has(name));
if (missing.length > 0) process.exitCode = 1;
process.stdout.write(missing.length > 0 ? `never ran: ${missing.join(", ")}\n` : "every kernel ran\n");
