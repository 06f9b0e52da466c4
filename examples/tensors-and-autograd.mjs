// Tensors, autograd and one sparse weight, without a network: finds the 8 of 64 inputs that a target depends on.
// Every 30 steps the 2 smallest of 8 weights leave, and 2 come where the gradient is largest.
import { add, backward, linear, mean, multiply, SparseTensor, scale, scope, Tensor, Topology, uniform } from "easting";

const [inputs, samples] = [64, 1024];
/** A weight `[1, inputs]` of which only `entries` exist: input → value. */
function sparseWeight(entries) {
  const sorted = [...entries].sort(([a], [b]) => a - b);
  const topology = new Topology(
    [1, inputs],
    Int32Array.from(sorted, ([input]) => input),
  );
  const values = sorted.map(([, value]) => value);
  return new SparseTensor(topology, Tensor.from(values, [values.length], { requiresGradient: true }));
}
const largestFirst = (numbers) => [...numbers.keys()].sort((a, b) => Math.abs(numbers[b]) - Math.abs(numbers[a]));

const truth = new Map([3, 9, 14, 27, 33, 41, 50, 62].map((input, i) => [input, 1.5 - i / 3]));
const x = Tensor.from(uniform({ seed: 1, purpose: "test" }, inputs * samples, -1, 1), [inputs, samples]);
const target = linear(x, sparseWeight(truth));
const negative = scale(target, -1);

let weight = sparseWeight(new Map([0, 8, 16, 24, 32, 40, 48, 56].map((input) => [input, 0])));
for (let step = 1; step <= 240; step++) {
  const { topology, values, denseGradient } = weight;
  denseGradient.wanted = step % 30 === 0; // of the weights that do not exist, too: only on demand
  scope(() => {
    const error = add(linear(x, weight), negative);
    const loss = mean(multiply(error, error));
    backward(loss);
    if (step % 30 === 0) console.log(`step ${step}: loss ${loss.item().toExponential(1)}, inputs`, ...topology.indices);
  });
  const gradient = values.gradient.dataSync();
  const now = values.dataSync().map((value, k) => value - 0.5 * gradient[k]);
  values.write(now);
  values.gradient.dispose();
  values.gradient = null;
  if (step % 30 !== 0 || step === 240) continue;
  const kept = largestFirst(now).slice(0, 6);
  const entries = new Map(kept.map((k) => [topology.indices[k], now[k]]));
  for (const input of largestFirst(denseGradient.tensor.dataSync()))
    if (entries.size < 8 && !entries.has(input)) entries.set(input, 0);
  for (const resource of [denseGradient.tensor, values, topology]) resource.dispose();
  weight = sparseWeight(entries);
}
const found = weight.topology.indices.join() === [...truth.keys()].join();
console.log(`${found ? "found" : "did not find"} the inputs of the target`);
