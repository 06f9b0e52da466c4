import { writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { compile, encodeModel, type Graph, interpret } from "../../src/compile/index.js";
import { classNames, imageInput, randomNetwork } from "../compile/networks.js";
import { easting, jsonLines, temporaryFolder } from "./easting.js";

const folder = temporaryFolder();
const model = join(folder, "model.easting");
const png = join(folder, "noise.png");
const photo = join(folder, "photo.jpg");
const pixels = Uint8Array.from({ length: 3 * 16 * 16 }, (_, i) => (i * 7919) % 256);
let graph: Graph;

beforeAll(async () => {
  const network = randomNetwork({ model: "resnet20", mask: "live", count: 600, side: 16, seed: 2 });
  graph = compile(network, imageInput(16), classNames(10)).graph;
  network.dispose();
  writeFileSync(model, encodeModel(graph));
  await sharp(pixels, { raw: { width: 16, height: 16, channels: 3 } })
    .png()
    .toFile(png);
  await sharp(pixels, { raw: { width: 16, height: 16, channels: 3 } })
    .resize(64, 48)
    .jpeg()
    .toFile(photo);
});

describe("easting run", () => {
  it("classifies an image of the network's size as the interpreter does", () => {
    const { status, stdout, stderr } = easting("run", model, png, "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const [found] = jsonLines(stdout);
    const area = 256;
    const image = Float32Array.from(
      pixels,
      (_, i) => (pixels[3 * (i % area) + Math.floor(i / area)] / 255 - 0.5) / 0.25,
    );
    const logits = [...interpret(graph, image)];
    const order = logits.map((_, i) => i).sort((a, b) => logits[b] - logits[a]);
    expect(found).toMatchObject({ type: "classification", image: png, label: `class ${order[0]}`, index: order[0] });
    expect(found.top.map(({ index }: { index: number }) => index)).toEqual(order.slice(0, 5));
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - logits[order[0]]), 0);
    expect(found.probability).toBeCloseTo(1 / sum, 4);
  });

  it("scales images of other sizes and prints the classes of each", () => {
    const { status, stdout } = easting("run", model, photo, png, "--top", "2");
    expect(status).toBe(0);
    const percentage = " {2}class \\d {2}[\\d.]+ %\n";
    expect(stdout).toMatch(new RegExp(`^${photo}\n(${percentage}){2}${png}\n(${percentage}){2}$`));
  });

  it("says which file it could not read", () => {
    const missing = easting("run", model, join(folder, "none.png"));
    expect(missing.status).toBe(1);
    expect(missing.stderr).toBe(
      `error: image: expected a file at ${join(folder, "none.png")}, got none; check the path\n`,
    );
    const wrong = easting("run", model, model);
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain(`expected an image in ${model}, got `);
  });
});

describe("easting bench", () => {
  it("reports latency, throughput and what one image costs", () => {
    const { status, stdout, stderr } = easting("bench", model, "--milliseconds", "20", "--threads", "1", "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const [found] = jsonLines(stdout);
    expect(found).toMatchObject({ type: "benchmark", model, threads: 1, onnxRuntime: null });
    expect(found.timings.map(({ batch }: { batch: number }) => batch)).toEqual([1, 2, 64]);
    for (const { batch, medianMs, fastestMs, imagesPerSecond } of found.timings) {
      expect(fastestMs).toBeGreaterThan(0);
      expect(medianMs).toBeGreaterThanOrEqual(fastestMs);
      expect(imagesPerSecond).toBeCloseTo((1000 * batch) / medianMs, 6);
    }
    const text = easting("bench", model, "--milliseconds", "5").stdout;
    expect(text).toMatch(/^batch 1 +[\d.]+ ms \(fastest [\d.]+ ms\), [\d,]+ images\/s$/m);
  });
});
