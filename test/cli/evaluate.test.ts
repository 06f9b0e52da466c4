import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { easting, jsonLines, temporaryFolder } from "./easting.js";

const folder = temporaryFolder();
const run = join(folder, "run");
let end: { testAccuracy: number; testLoss: number; nnz: number };

beforeAll(() => {
  const settings = ["--model", "resnet20", "--method", "rigl", "--sparsity", "95", "--epochs", "2", "--batch", "256"];
  end = jsonLines(easting("train", ...settings, "--out", run, "--json").stdout).at(-1);
});

describe("easting evaluate", () => {
  it("measures what training reported at its end", () => {
    const { status, stdout, stderr } = easting("evaluate", run, "--batch", "256", "--json");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({
      type: "evaluation",
      step: 12,
      split: "test",
      accuracy: end.testAccuracy,
      loss: end.testLoss,
      count: 360,
      nnz: end.nnz,
    });
  });

  it("takes a checkpoint and another split", () => {
    const { stdout } = easting("evaluate", join(run, "checkpoints", "best.ckpt"), "--split", "validation");
    expect(stdout).toMatch(/validation accuracy +\d+\.\d\d % of 144 images/);
  });

  it("refuses images of another shape", () => {
    expect(easting("evaluate", run, "--data", "synthetic")).toEqual({
      status: 1,
      stdout: "",
      stderr:
        "error: evaluate: expected images of 1 × 8 × 8 in 10 classes, got images of 3 × 32 × 32 in 10 classes; " +
        "choose data like those of the training\n",
    });
  });

  it("asks for the data of a checkpoint outside its run", () => {
    const alone = join(folder, "alone.ckpt");
    copyFileSync(join(run, "checkpoints", "best.ckpt"), alone);
    const { status, stderr } = easting("evaluate", alone);
    expect(status).toBe(2);
    expect(stderr).toBe(`error: ${alone}: expected a run whose receipt names its data, got none; add --data\n`);
    expect(easting("evaluate", alone, "--data", "digits").status).toBe(0);
  });

  it("refuses a checkpoint with one flipped bit", () => {
    const damaged = join(folder, "damaged.ckpt");
    const bytes = readFileSync(join(run, "checkpoints", "best.ckpt"));
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(damaged, bytes);
    const { status, stdout, stderr } = easting("evaluate", damaged, "--data", "digits");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^error: .*damaged\.ckpt.*\n$/);
  });
});

describe("easting inspect", () => {
  it("says what this machine offers", () => {
    const { status, stdout } = easting("inspect", "--json");
    expect(status).toBe(0);
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ node: process.version, platform: `${process.platform}-${process.arch}` });
    expect(found.devices[0]).toBe("cpu");
    expect(["baseline", "avx2", "avx512"]).toContain(found.instructionSet);
    expect(Object.keys(found.cuda)).toEqual(expect.arrayContaining(["built", "available", "reason", "devices"]));
    if (!found.cuda.available) expect(found.cuda.reason).toMatch(/\w/);
    expect(easting("inspect").stdout).toMatch(/^easting +\d/);
  });

  it("says what a run's newest checkpoint holds", () => {
    const { stdout } = easting("inspect", run, "--json");
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ progress: { step: 12 }, config: { model: "resnet20", method: "rigl" } });
    const [newest] = readdirSync(join(run, "checkpoints"))
      .filter((name) => name.startsWith("step-"))
      .sort()
      .reverse();
    expect(found.checkpoint).toBe(join(run, "checkpoints", newest));
    const nnz = found.sections.filter(({ name }: { name: string }) => name.startsWith("topology/"));
    expect(nnz.reduce((sum: number, { count }: { count: number }) => sum + count, 0)).toBe(end.nnz);
    expect(easting("inspect", run).stdout).toMatch(/\ntopology +22 +13,530 /);
  });
});

describe("easting summary of a run", () => {
  it("counts the weights that the run has", () => {
    const found = JSON.parse(easting("summary", run, "--json").stdout);
    expect(found).toMatchObject({ model: "resnet20", image: [1, 8, 8], nnz: end.nnz, step: 12, prunable: 270_608 });
  });

  it("takes no settings beside a run", () => {
    expect(easting("summary", run, "--sparsity", "90")).toMatchObject({
      status: 2,
      stderr: "error: summary: expected a run or the flags of a fresh network, got both\n",
    });
  });
});

describe("easting data", () => {
  it("lists the data sets known by name", () => {
    const names = easting("data", "list").stdout.match(/^\S+/gm);
    expect(names).toEqual(["digits", "synthetic", "cifar10", "cifar100", "<folder>"]);
  });

  it("verifies a data set and counts its images", () => {
    expect(JSON.parse(easting("data", "verify", "digits", "--json").stdout)).toMatchObject({
      name: "digits",
      counts: { train: 1293, validation: 144, test: 360 },
    });
    expect(easting("data", "verify", "digits").stdout).toMatch(/\nall +1,293 +144 +360\n$/);
  });

  it("says of a folder without images what it expected", () => {
    const { status, stderr } = easting("data", "verify", run);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: data: expected a folder with CIFAR \.bin files, .*\n$/);
  });
});
