import { expected } from "../../errors.js";

export interface Sampling {
  /** Steps between samples, at least; 1000 by default. */
  readonly every?: number;
}

/** Which steps are looked at: the end of the first epoch, then the first epoch's end after each further `every` steps. */
export function sampling({ every = 1000 }: Sampling): (step: number, stepsPerEpoch: number) => boolean {
  if (!Number.isInteger(every) || every < 1) throw expected("every", "a whole number of steps, at least 1", every);
  const passed = (step: number) => Math.floor(step / every);
  return (step, epoch) => step % epoch === 0 && (step === epoch || passed(step) > passed(step - epoch));
}
