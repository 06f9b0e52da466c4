// What diagnostics cost: epochs with one look at the end of each, and epochs without, in turns. See docs/diagnostics.md.
import { parseArgs } from "node:util";
import { diagnostics, fit, imageFormat, prepare, syntheticDataset, threads } from "easting";

const { values } = parseArgs({
  options: {
    net: { type: "string", default: "resnet34" },
    method: { type: "string", default: "rigl" },
    sparsity: { type: "string", default: "99.9" },
    turns: { type: "string", default: "5" },
    steps: { type: "string", default: "10" },
    threads: { type: "string", default: "2" },
  },
});
threads(Number(values.threads));
const [batch, steps, turns] = [128, Number(values.steps), Number(values.turns)];
const count = batch * steps;
const data = syntheticDataset({ classes: 10, shape: [3, 32, 32], count, testCount: batch, validation: "none" });

/** @param {readonly import("easting").Callback[]} callbacks @returns {() => Promise<number>} CPU ms of the next epoch, all threads */
function contestant(callbacks) {
  const { net: model, method, sparsity } = values;
  // The topology stays, so that every epoch does the same.
  const config = { model, method, sparsity: Number(sparsity), epochs: turns + 1, updateEvery: 2 ** 31 - 1 };
  const recipe = prepare({ ...config, cycles: 0 }, imageFormat(data), data.train.count);
  const events = fit(recipe.model, data, { ...recipe.fit, callbacks: [...recipe.callbacks, ...callbacks] });
  return async () => {
    const start = process.cpuUsage();
    for (;;) {
      const { value, done } = await events.next();
      if (done) throw new Error("the run ended early");
      if (value.type === "epoch") {
        const { user, system } = process.cpuUsage(start);
        return (user + system) / 1000;
      }
    }
  };
}
const median = (/** @type {number[]} */ list) => list.toSorted((a, b) => a - b)[list.length >> 1];

const without = contestant([]);
const looks = Object.entries(diagnostics).map(([name, make]) => ({
  name,
  epoch: contestant([make({ every: 1 })]),
  ms: [0],
}));
await without(); // warm
for (const { epoch } of looks) await epoch();
const plain = [];
for (let turn = 0; turn < turns; turn++) {
  const base = await without();
  plain.push(base);
  for (const { epoch, ms } of looks) ms[turn] = (await epoch()) - base;
}
const step = median(plain) / steps;
process.stdout.write(
  `${values.net}, ${values.method}, ${values.sparsity} %: ${step.toFixed(1)} ms of CPU time per step\n`,
);
let sum = 0;
for (const { name, ms } of looks) {
  sum += Math.max(0, median(ms)); // less than nothing is noise
  const share = ((100 * median(ms)) / (1000 * step)).toFixed(2);
  process.stdout.write(`${name.padEnd(16)} ${median(ms).toFixed(0).padStart(6)} ms a look, ${share} % of 1000 steps\n`);
}
process.stdout.write(
  `together         ${sum.toFixed(0).padStart(6)} ms, ${((100 * sum) / (1000 * step)).toFixed(2)} %\n`,
);
process.exit(0); // the generators are still open
