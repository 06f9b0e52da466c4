import { afterEach, describe, expect, it } from "vitest";
import { native } from "../../src/native.js";
import { memory, resolveDevice, scope, Tensor, threads } from "../../src/tensor/index.js";

const before = threads();
afterEach(() => {
  threads(before);
});

describe("threads", () => {
  it("are as many as the machine has, or as asked for", () => {
    expect(before).toBeGreaterThanOrEqual(1);
    expect(threads(3)).toBe(3);
    expect(threads()).toBe(3);
  });

  it.each([0, -1, 1.5, 1025, Number.NaN])("cannot be %d", (count) => {
    expect(() => threads(count)).toThrow(`threads: expected an integer from 1 to 1024, got ${count}`);
    expect(threads()).toBe(before);
  });
});

describe("device", () => {
  it("cpu is always there, and says what it is", () => {
    const { device, reason } = resolveDevice("cpu");
    expect(device).toBe("cpu");
    expect(reason).toMatch(/^CPU, (baseline|avx2|avx512) kernels, \d+ threads$/);
  });

  it("auto never fails and says why there is no GPU", () => {
    expect(resolveDevice("auto").reason).not.toBe("");
    expect(resolveDevice()).toEqual(resolveDevice("auto"));
  });

  it.skipIf(native.devices().cudaDevices.length > 0)("cuda without a GPU is an error with the reason", () => {
    expect(() => resolveDevice("cuda")).toThrow(/^device: expected a usable CUDA device, got none: .+; use device/);
  });
});

describe("memory", () => {
  it("counts live bytes and their high-water mark", () => {
    const { live } = memory();
    scope(() => {
      Tensor.zeros([1024]);
      expect(memory().live).toBe(live + 4096);
    });
    expect(memory().live).toBe(live);
    expect(memory().peak).toBeGreaterThanOrEqual(live + 4096);
    expect(memory().reserved).toBeGreaterThanOrEqual(live);
  });
});
