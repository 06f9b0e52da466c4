import { afterEach, describe, expect, it, vi } from "vitest";
import { native } from "../../src/native.js";
import { scope, Tensor } from "../../src/tensor/index.js";
import { easting } from "../cli/easting.js";
import { temporaryFolders } from "../train/tiny.js";

const folder = temporaryFolders();
const emulated = native.devices().cudaDevices[0] === "emulated device";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe.skipIf(!emulated)("easting inspect tells apart", () => {
  it.each([
    ["no driver", "DRIVER", "0", "expected an NVIDIA driver, got none; install one to use a GPU"],
    [
      "an old driver",
      "DRIVER",
      "12040",
      "expected a driver for CUDA 13.0 or later, got one for CUDA 12.4; update the NVIDIA driver",
    ],
    [
      "no device",
      "DEVICES",
      "0",
      "expected an NVIDIA GPU, got a driver without one; check nvidia-smi and CUDA_VISIBLE_DEVICES",
    ],
    [
      "a GPU that the build has no code for",
      "IMAGE",
      "none",
      "expected a GPU that this build can run on, got emulated device: no kernel image is available for execution on the device; " +
        "rebuild with EASTING_CUDA_ARCHS set to its architecture",
    ],
  ])("%s", (_, variable, value, reason) => {
    vi.stubEnv("EASTING_DEVICE", "");
    vi.stubEnv(`EASTING_EMULATED_${variable}`, value);
    const { cuda, device } = JSON.parse(easting("inspect", "--json").stdout);
    expect(cuda).toMatchObject({ built: true, available: false, reason });
    expect(device.name).toBe("cpu");
    const { status, stderr } = easting("train", "--data", "digits", "--device", "cuda", "--out", folder());
    expect(stderr).toBe(
      `error: device: expected a usable CUDA device, got none: CUDA: ${reason}; use device "cpu" or "auto"\n`,
    );
    expect(status).toBe(1);
  });

  it("a usable GPU, which auto then takes", () => {
    vi.stubEnv("EASTING_DEVICE", "");
    const { cuda, device, devices } = JSON.parse(easting("inspect", "--json").stdout);
    expect(cuda).toMatchObject({ built: true, available: true, reason: null });
    expect({ device, devices }).toEqual({
      device: { name: "cuda", reason: "emulated device (cuda:0)" },
      devices: ["cpu", "cuda:0"],
    });
  });

  it("a GPU that is not there", () => {
    vi.stubEnv("EASTING_EMULATED_DEVICES", "2");
    const { stderr, status } = easting("train", "--data", "digits", "--device", "cuda:2", "--out", folder());
    expect(stderr).toBe(
      "error: device: expected a usable CUDA device, got none: CUDA: expected cuda:2, got a machine whose last GPU is cuda:1; " +
        'check nvidia-smi and CUDA_VISIBLE_DEVICES; use device "cpu" or "auto"\n',
    );
    expect(status).toBe(1);
  });
});

describe.skipIf(!emulated)("the GPU's memory", () => {
  it("used up is an error with a code, after which less fits", () => {
    vi.stubEnv("EASTING_EMULATED_MEMORY", String(native.memory(1).reserved + (1 << 20)));
    const room = () => Tensor.zeros([1 << 18], { device: "cuda" });
    expect(() => scope(() => [room(), room()])).toThrow(
      expect.objectContaining({
        code: "EASTING_OUT_OF_MEMORY",
        message: expect.stringMatching(
          /^memory: expected room for 1048576 bytes on cuda beside the \d+ in use, got none; use a smaller batch or free tensors$/,
        ),
      }),
    );
    expect(scope(() => room().dataSync().length)).toBe(1 << 18);
  });
});

describe.skipIf(!emulated)("a kernel that takes the GPU from the process", () => {
  it("ends it with code 76 and its name", () => {
    vi.stubEnv("EASTING_EMULATED_FAULT", "40");
    const { status, stderr } = easting(
      ...["train", "--data", "digits", "--model", "resnet20", "--batch", "8", "--device", "cuda", "--out", folder()],
    );
    expect(status).toBe(76);
    expect(stderr).toMatch(
      /cuda: expected the kernel \w+ to run, got cudaErrorIllegalAddress: .*; this process ends, as CUDA takes no more work from it/,
    );
  });
});
