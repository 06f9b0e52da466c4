// Takes easting's side of the inference benchmark: whole calls of `run`, from bytes to classes.
//
// Prints {"ready": …} on one line after a warm-up, then reads commands from standard input: "step" runs batches for a
// while and prints {"ms", "minMs", "cpuMs"} of one batch (median, fastest, processor time of all threads on average);
// "quit", or the end of the input, prints {"peakRssBytes"} and ends. The same protocol as onnxruntime_run.py.
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { load, threads, version } from "easting";

const { values, positionals } = parseArgs({
  options: {
    batch: { type: "string", default: "1" },
    threads: { type: "string", default: "1" },
    /** How long a step runs batches. */
    seconds: { type: "string", default: "0.5" },
  },
  allowPositionals: true,
});
threads(Number(values.threads));
const network = await load(positionals[0]);
const size = network.image.shape.reduce((product, extent) => product * extent, 1);
const images = Uint8Array.from({ length: Number(values.batch) * size }, () => 256 * Math.random());
for (let i = 0; i < 20; i++) await network.run(images);
console.log(JSON.stringify({ ready: version }));

const milliseconds = Number(values.seconds) * 1000;
for await (const command of createInterface({ input: process.stdin })) {
  if (command.trim() === "quit") break;
  const cpu = process.cpuUsage();
  const begin = performance.now();
  const times = [];
  while (times.length < 3 || performance.now() - begin < milliseconds) {
    const start = performance.now();
    await network.run(images);
    times.push(performance.now() - start);
  }
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const cpuMs = (user + system) / 1000 / times.length;
  console.log(JSON.stringify({ ms: times[times.length >> 1], minMs: times[0], cpuMs }));
}
console.log(JSON.stringify({ peakRssBytes: process.resourceUsage().maxRSS * 1024 }));
network.close();
