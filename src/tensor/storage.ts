import { native } from "../native.js";
import { type Device, deviceCode } from "./device.js";
import { type Dtype, dtypes } from "./dtype.js";

/** Counted ownership of one buffer of the addon, shared by a tensor and its reshaped views. */
export class Storage {
  #owners = 1;
  readonly handle: number;

  constructor(device: Device, dtype: Dtype, size: number) {
    this.handle = native.alloc(deviceCode[device], dtypes[dtype].code, size);
  }
  get owners(): number {
    return this.#owners;
  }
  share(): this {
    this.#owners++;
    return this;
  }
  release(): void {
    if (--this.#owners === 0) native.free(this.handle);
  }
}

/** Only a net under tensors made outside every scope and never disposed. */
export const abandoned = new FinalizationRegistry<Storage>((storage) => storage.release());
