import { describe, expect, it } from "vitest";
import { experiments, selectEntries } from "../../src/reproduce/index.js";
import { settingsOf } from "../../src/reproduce/runs.js";
import { entryKey } from "../../src/reproduce/select.js";

const keys = (patterns?: string) => selectEntries(experiments.table1, patterns).map(entryKey);

describe("cells of a table", () => {
  it("are all of the paper's, and a dense network for each network and data set", () => {
    expect(keys()).toHaveLength(2 * 2 * 4 * 6 + 4);
  });

  it("are chosen by patterns whose end may be left out", () => {
    expect(keys("resnet34/cifar10/99.9*/east")).toEqual([
      "resnet34/cifar10/99.9/east",
      "resnet34/cifar10/99.95/east",
      "resnet34/cifar10/99.99/east",
    ]);
    expect(keys("resnet50/cifar100/99/set, resnet50/cifar100/99/rigl")).toEqual([
      "resnet50/cifar100/99/set",
      "resnet50/cifar100/99/rigl",
    ]);
  });

  it("may lie outside the paper", () => {
    expect(keys("resnet20/digits/95")).toEqual([
      "resnet20/digits/0/dense",
      "resnet20/digits/95/synflow",
      "resnet20/digits/95/set",
      "resnet20/digits/95/rigl",
      "resnet20/digits/95/east",
      "resnet20/digits/95/dctps+rigl",
      "resnet20/digits/95/dctps+rigl+east",
    ]);
  });

  it("are refused in one sentence where a pattern makes no sense", () => {
    expect(() => keys("resnet35")).toThrow(
      /^--cells: expected one of resnet20, .*, got "resnet35"; did you mean resnet3/,
    );
    expect(() => keys("*/imagenet*")).toThrow(
      'expected a pattern that fits some of cifar10, cifar100, got "imagenet*"',
    );
    expect(() => keys("resnet34/cifar10/100")).toThrow('expected a sparsity between 0 and 100, got "100"');
    expect(() => keys("a/b/c/d/e")).toThrow("expected patterns such as resnet34/cifar10/99.9 or */cifar10/*/east");
  });
});

describe("settings of a cell", () => {
  const of = (patterns: string, epochs?: number) =>
    settingsOf(experiments.table1, selectEntries(experiments.table1, patterns)[0], epochs);

  it("are the published ones", () => {
    expect(of("resnet34/cifar10/99.95/east")).toEqual({
      model: "resnet34",
      method: "east",
      sparsity: 99.95,
      epochs: 250,
    });
    expect(of("resnet50/cifar100/99/dctps+rigl")).toMatchObject({ method: "dctps+rigl", epochs: 200 });
  });

  it("take the number of epochs that is asked for", () => {
    expect(of("resnet50/cifar100/99/dctps+rigl", 10)).toMatchObject({ epochs: 10 });
  });
});
