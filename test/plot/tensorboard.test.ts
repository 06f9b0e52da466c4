import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { tensorboard } from "../../src/plot/index.js";
import { crc32c, tfRecord } from "../../src/plot/tfrecord.js";
import { python } from "../python/python.js";
import { epoch, runOf } from "./runs.js";

const folder = mkdtempSync(join(tmpdir(), "easting-tensorboard-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = runOf({}, [
  { type: "start", step: 0, steps: 20, stepsPerEpoch: 10, epochs: 2, device: "CPU" },
  { type: "step", step: 5, epoch: 1, loss: 2.5, density: 0.25 },
  { type: "gradient-flow", step: 10, norm: 3, layers: [{ name: "conv1.weight", norm: 1, activeNorm: 0.5 }] },
  {
    type: "histograms",
    step: 10,
    layers: [
      {
        name: "fc.weight",
        weights: { min: -1, max: 1, mean: 0.5, std: 0.5, counts: [1, 0, 0, 3] },
        gradients: null,
      },
    ],
  },
  epoch(1, { trainLoss: 2, validationLoss: null, seconds: 4 }),
  epoch(2, { trainLoss: 1, validationLoss: null, seconds: 2 }),
  { type: "checkpoint", step: 20, path: "x", best: true },
]);

describe("a TFRecord", () => {
  it("is checked by CRC-32C", () => {
    // RFC 3720, B.4, and the check value of the algorithm's catalogue.
    const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
    expect(crc32c(ascending)).toBe(0x46dd794e);
    expect(crc32c(ascending.toReversed())).toBe(0x113fdb5c);
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });

  it("has the bytes that TensorFlow writes", () => {
    // Eight bytes of length and their masked checksum, no data, and the masked checksum of nothing: 0 + 0xa282ead8.
    expect(Buffer.from(tfRecord(new Uint8Array(0))).toString("hex")).toBe("000000000000000029039807d8ea82a2");
  });
});

describe("TensorBoard's event file", () => {
  it("is a row of records whose lengths and checksums hold", () => {
    const bytes = Buffer.from(tensorboard(run));
    const unmasked = (at: number) => {
      const value = (bytes.readUInt32LE(at) - 0xa282ead8) >>> 0;
      return ((value >>> 17) | (value << 15)) >>> 0;
    };
    const records: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = Number(bytes.readBigUInt64LE(at));
      const data = bytes.subarray(at + 12, at + 12 + length);
      expect(unmasked(at + 8)).toBe(crc32c(bytes.subarray(at, at + 8)));
      expect(unmasked(at + 12 + length)).toBe(crc32c(data));
      records.push(data);
      at += length + 16;
    }
    // The version; start, step, gradient flow, histograms and two epochs. A checkpoint has no numbers.
    expect(records).toHaveLength(7);
    const hex = (text: string) => Buffer.from(text).toString("hex");
    // wall_time = 1000 (double), file_version = "brain.Event:2".
    expect(records[0].toString("hex")).toBe(`090000000000408f401a0d${hex("brain.Event:2")}`);
    // wall_time = 1002, step = 5, summary with two values, each a tag and a simple_value (float).
    const values = `0a100a09${hex("step/loss")}15000020400a130a0c${hex("step/density")}150000803e`;
    expect(records[2].toString("hex")).toBe(`090000000000508f4010052a27${values}`);
  });

  it("says to TensorBoard's own reader what the events say", (context) => {
    const file = join(folder, "events.out.tfevents.1000.easting");
    writeFileSync(file, tensorboard(run));
    const { scalars, histograms } = JSON.parse(python(context, "read_tensorboard.py", file));
    // Four seconds for the first 10 steps, two for the next.
    expect(scalars).toEqual({
      "start/steps": [[1000, 0, 20]],
      "start/stepsPerEpoch": [[1000, 0, 10]],
      "start/epochs": [[1000, 0, 2]],
      "step/loss": [[1002, 5, 2.5]],
      "step/density": [[1002, 5, 0.25]],
      "gradient-flow/norm": [[1004, 10, 3]],
      "gradient-flow norm/conv1.weight": [[1004, 10, 1]],
      "gradient-flow activeNorm/conv1.weight": [[1004, 10, 0.5]],
      "epoch/trainLoss": [
        [1004, 10, 2],
        [1006, 20, 1],
      ],
      "epoch/seconds": [
        [1004, 10, 4],
        [1006, 20, 2],
      ],
    });
    const weights = { min: -1, max: 1, num: 4, sum: 2, sumSquares: 2, limits: [-0.5, 0, 0.5, 1], counts: [1, 0, 0, 3] };
    expect(histograms).toEqual({ "weights/fc.weight": [[1004, 10, weights]] });
  }, 600_000);
});
