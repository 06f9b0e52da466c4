import { EastingError } from "../errors.js";
import { native } from "../native.js";

export type Device = "cpu" | "cuda";
export type DeviceRequest = "auto" | Device;

/** Where tensors live unless they say otherwise: what EASTING_DEVICE names, else the CPU. */
export const defaultDevice: Device = process.env.EASTING_DEVICE === "cuda" ? "cuda" : "cpu";

/**
 * The device that a request stands for, and why. `"auto"` never fails; `"cuda"` fails with the reason when training on
 * it is not possible.
 */
export function resolveDevice(request: DeviceRequest = "auto"): { device: Device; reason: string } {
  const { cudaBuilt, cudaReason, cudaDevices, isa } = native.devices();
  const missing = !cudaBuilt
    ? cudaReason
    : cudaDevices.length === 0
      ? cudaReason
      : "the CUDA backend of this release is not complete, so networks train on the CPU";
  if (request === "cuda")
    throw new EastingError(
      "EASTING_DEVICE",
      `device: expected a usable CUDA device, got none: ${missing}`,
      'use device "cpu" or "auto"',
    );
  const cpu = `CPU, ${isa} kernels, ${native.threads()} threads`;
  return { device: "cpu", reason: request === "cpu" ? cpu : `${cpu} (no GPU: ${missing})` };
}

/** Sets how many threads kernels use (results do not depend on it) and returns the count in force. */
export function threads(count?: number): number {
  if (count !== undefined && (!Number.isInteger(count) || count < 1 || count > 1024))
    throw new EastingError("EASTING_INVALID", `threads: expected an integer from 1 to 1024, got ${count}`);
  return count === undefined ? native.threads() : native.threads(count);
}

/** Bytes held by a device's live tensors, their high-water mark, and bytes reserved from the system. */
export function memory(device = defaultDevice): { live: number; peak: number; reserved: number } {
  return native.memory(device === "cpu" ? 0 : 1);
}
