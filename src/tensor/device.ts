import { EastingError, expected } from "../errors.js";
import { native } from "../native.js";

export type Device = "cpu" | "cuda";
export type DeviceRequest = "auto" | Device | `cuda:${number}`;

export interface ChosenDevice {
  readonly device: Device;
  /** What it is, and where it was not asked for by name, why. */
  readonly reason: string;
}

/** What EASTING_DEVICE holds: what "auto" stands for. Checked when a device is chosen, as importing must not fail. */
const environment = process.env.EASTING_DEVICE || undefined;

/** Where tensors live unless they say otherwise: what `useDevice` chose, before that what EASTING_DEVICE names, else the CPU. */
export let defaultDevice: Device = environment?.startsWith("cuda") ? "cuda" : "cpu";
if (/^cuda:\d+$/.test(environment ?? "")) native.chooseGpu(Number(environment?.slice(5)));

/** The last request by name. */
let chosen: DeviceRequest | null = null;

/** A device's name as the command line and the environment give it. */
export function deviceRequest(name: string, where = "device", code = "EASTING_DEVICE"): DeviceRequest {
  if (/^(auto|cpu|cuda|cuda:\d{1,3})$/.test(name)) return name as DeviceRequest;
  throw expected(where, "auto, cpu, cuda or cuda:<index>", name, undefined, code);
}

/**
 * The device that a request stands for, and why. `"auto"` is what was chosen by name before, then what EASTING_DEVICE
 * names, then the GPU if networks can train on it, else the CPU; `"cuda"` fails with the reason where they cannot.
 */
export function resolveDevice(request: DeviceRequest = "auto"): ChosenDevice & { readonly gpu: number } {
  const named = deviceRequest(request);
  const asked = named === "auto" ? (chosen ?? deviceRequest(environment ?? "auto", "EASTING_DEVICE")) : named;
  const gpu = asked.startsWith("cuda:") ? Number(asked.slice(5)) : native.devices().gpu;
  const { cudaReason, cudaDevices, isa } = native.devices(gpu);
  const cpu = `CPU, ${isa} kernels, ${native.threads()} threads`;
  if (asked === "cpu") return { device: "cpu", reason: cpu, gpu };
  if (cudaReason === "") return { device: "cuda", reason: `${cudaDevices[gpu]} (cuda:${gpu})`, gpu };
  if (asked === "auto") return { device: "cpu", reason: `${cpu} (no GPU: ${cudaReason})`, gpu };
  throw new EastingError(
    "EASTING_DEVICE",
    `device: expected a usable CUDA device, got none: ${cudaReason}`,
    'use device "cpu" or "auto"',
  );
}

/**
 * Chooses where tensors live that say nothing else, and with it where networks train. A process computes on one GPU;
 * asking for another is an error. The CPU can always be chosen. What exists already stays where it is: `Module.to` moves
 * a network, and `fit` does so by itself.
 */
export function useDevice(request: DeviceRequest = "auto"): ChosenDevice {
  const { device, reason, gpu } = resolveDevice(request);
  if (device === "cuda") {
    try {
      native.chooseGpu(gpu);
    } catch (error) {
      throw new EastingError("EASTING_DEVICE", (error as Error).message);
    }
  }
  if (request !== "auto") chosen = request;
  defaultDevice = device;
  return { device, reason };
}

/** Sets how many threads kernels use (results do not depend on it) and returns the count in force. */
export function threads(count?: number): number {
  if (count !== undefined && (!Number.isInteger(count) || count < 1 || count > 1024))
    throw new EastingError("EASTING_INVALID", `threads: expected an integer from 1 to 1024, got ${count}`);
  return count === undefined ? native.threads() : native.threads(count);
}

/** Bytes held by live tensors of a device, their high-water mark, and bytes reserved from the system. */
export function memory(device: Device = defaultDevice): { live: number; peak: number; reserved: number } {
  return native.memory(deviceCode[device]);
}

/** As the addon numbers them. */
export const deviceCode = { cpu: 0, cuda: 1 } as const;

/** Resolves when all queued work is done; rejects with what a kernel threw. */
export function synchronize(): Promise<void> {
  return new Promise((resolve, reject) => {
    native.finished((error) => (error ? reject(new EastingError(error.code, error.message)) : resolve()));
  });
}
