import { describe, expect, it } from "vitest";
import { compile, interpret, reads, trace } from "../../src/compile/index.js";
import { programOf } from "../../src/demo/program.js";
import { classNames, evaluated, imageInput, type NetworkSpec, randomNetwork } from "../compile/networks.js";
import { expectClose } from "../numbers.js";

// Plain JavaScript for browsers, which Node runs as well.
const { createNetwork, unpack } = await import(new URL("../../src/demo/page/runtime.js", import.meta.url).href);
const { connectionsOf, flowTo } = await import(new URL("../../src/demo/page/paths.js", import.meta.url).href);

const specs: readonly (readonly [string, NetworkSpec])[] = [
  ["a random mask, with bias maps", { model: "resnet20", mask: "random", density: 0.004, side: 16, seed: 1 }],
  ["many weights in odd planes", { model: "resnet20", mask: "random", density: 0.2, side: 15, seed: 2 }],
  ["passed-through channels", { model: "resnet56", mask: "live", count: 300, side: 16, seed: 3 }],
  ["shared weights", { model: "resnet34", mask: "live", count: 2000, share: true, side: 32, seed: 5 }],
  ["a 7 × 7 stem and max-pooling", { model: "resnet18-imagenet", mask: "live", count: 2000, side: 63, seed: 7 }],
];

describe("the page's runtime gives the interpreter's logits", () => {
  it.each(specs)("with %s", async (_, spec) => {
    const model = randomNetwork(spec);
    const input = imageInput(spec.side);
    const network = createNetwork(await unpack(programOf(compile(model, input, classNames(10)).graph)));
    for (const seed of [1, 2]) {
      const { image } = evaluated(model, spec.side, seed);
      const expected = interpret(trace(model, input, classNames(10)), image);
      expectClose(network.run(image), expected, { relative: 1e-5 });
    }
    model.dispose();
  });
});

describe("the paths to a class", () => {
  it("divide what reaches its logit by weight times activation", () => {
    const connections = [
      { from: 0, to: 2, weight: 2 },
      { from: 1, to: 2, weight: -1 },
      { from: 2, to: 3, weight: 0.5 },
      { from: 1, to: 3, weight: 1 },
      { from: 2, to: 4, weight: 9 },
    ];
    const { flow, through } = flowTo(connections, Float32Array.of(3, 2, 4, 0, 0), 3);
    expect([...flow]).toEqual([0.375, 0.125, 0.5, 0.5, 0]);
    expect([...through]).toEqual([0.375, 0.625, 0.5, 1, 0]);
  });

  it("are made of every weight's row and plane once, and of residuals", async () => {
    const spec = specs[2][1];
    const model = randomNetwork(spec);
    const { graph } = compile(model, imageInput(spec.side), classNames(10));
    model.dispose();
    const pairs = graph.steps.flatMap((step) =>
      step.rows.flatMap((row) => [...new Set(reads(step, row))].map((from) => `${from} ${row.plane}`)),
    );
    const found: { from: number; to: number }[] = connectionsOf(await unpack(programOf(graph)));
    expect(new Set(found.map(({ from, to }) => `${from} ${to}`))).toEqual(new Set(pairs));
  });
});
