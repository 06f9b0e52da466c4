import { c } from "./c/index.js";
import { native } from "./native.js";
import { onnx } from "./onnx/index.js";
import type { Target } from "./target.js";
import { wasm } from "./wasm/index.js";

export type { Target, TargetOptions } from "./target.js";

/** What `easting compile --target` knows. */
export const targets: readonly Target[] = [native, onnx, c, wasm];
