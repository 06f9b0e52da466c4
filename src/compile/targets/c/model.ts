import type { ImageInput } from "../../graph.js";
import type { BitProgram } from "../../program/bits.js";
import type { CNumbers } from "./numbers.js";

/** What a header is printed from. */
export interface CModel {
  /** Before every name in it. */
  readonly name: string;
  readonly image: ImageInput;
  readonly classes: readonly string[];
  readonly program: BitProgram;
  readonly numbers: CNumbers;
}
